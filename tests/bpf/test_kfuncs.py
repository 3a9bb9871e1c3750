# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The audit of kfuncs: each rule broken once.

That kernels refuse what is called an error here is seen in tests/vm/test_kfunc_rules.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpf.audits import every, found
from bpf.sets import SET, THREE, kfunc, vmlinux
from kbtf import BtfBuilder
from kbtf.bpf.audit.rules import audit
from kbtf.bpf.kfuncs import read_kfuncs
from kbtf.ids import kfunc_flags as kf

if TYPE_CHECKING:
    from bpf.audits import Found

BROKEN_KFUNCS = [
    ("error", "variadic", "int f(int a, ...)", 0),
    ("error", "too-many-args", "int f(int a, int b, int c, int d, int e, int g)", 0),
    ("error", "arg-type", "int f(struct s a)", 0),
    ("error", "arg-type", "int f(float a)", 0),
    ("error", "arg-type", "int f(fwd opaque *a)", 0),
    ("error", "arg-type", "int f(int **a)", 0),
    ("error", "arg-void", "int f(void *a)", 0),
    ("error", "arg-void", "int f(void *a, int size)", 0),
    ("error", "arg-void", "int f(void *a, struct s *b, int b__sz)", 0),
    ("warning", "arg-void", "int f(void *a__nullable)", 0),
    ("warning", "suffix", "int f(int a__sz)", 0),
    ("warning", "suffix", "int f(struct s *a, struct s *a__sz)", 0),
    ("warning", "suffix", "int f(int a, int a__szk)", 0),
    ("warning", "suffix", "int f(struct s *a__k)", 0),
    ("warning", "suffix", "int f(int a__nullable)", 0),
    ("warning", "suffix", "int f(struct s *a__opt, int size)", 0),
    ("warning", "suffix", "int f(struct s *a__uninit)", 0),
    ("error", "suffix", "int f(struct s *a__alloc)", 0),
    ("warning", "suffix", "int f(int a__refcounted_kptr)", 0),
    ("warning", "suffix", "int f(const int *a__str)", 0),
    ("warning", "suffix", "int f(struct s *a__map)", 0),
    ("error", "suffix", "int f(struct s *a__iter)", 0),
    ("warning", "suffix", "int f(int a__irq_flag)", 0),
    ("warning", "suffix", "int f(int a__prog)", 0),
    ("error", "dynptr", "int f(struct bpf_dynptr_kern *a)", 0),
    ("error", "constants", "int f(int a__k, long b__k)", 0),
    ("error", "constants", "int f(int a__k, void *b, int b__szk)", 0),
    ("error", "constants", "char *f(int rdonly_buf_size, int rdwr_buf_size)", 0),
    ("error", "return-type", "struct s f(int a)", 0),
    ("error", "return-type", "fwd opaque *f(int a)", 0),
    ("error", "return-type", "func *f(int a)", 0),
    ("warning", "return-type", "float f(int a)", 0),
    ("warning", "return-type", "union u f(int a)", 0),
    ("warning", "narrow-return", "bool f(int a)", 0),
    ("warning", "narrow-return", "typedef char f(int a)", 0),
    ("warning", "narrow-return", "short f(int a)", 0),
    ("error", "acquire", "int f(int a)", kf.ACQUIRE),
    ("error", "acquire", "int *f(int a)", kf.ACQUIRE),
    ("warning", "ret-null", "int f(int a)", kf.RET_NULL),
    ("warning", "ret-null", "void *f(int a)", kf.RET_NULL),
    ("error", "release", "void f(int a)", kf.RELEASE),
    ("warning", "release", "void f(int *a)", kf.RELEASE),
    ("warning", "flags", "void f(struct s *a)", kf.TRUSTED_ARGS | kf.RCU),
    ("warning", "flags", "void f(struct s *a)", kf.RELEASE | kf.RCU),
    ("warning", "flags", "void f(struct s *a)", kf.SLEEPABLE | kf.RCU_PROTECTED),
    ("warning", "fastcall", "int f(int a)", kf.FASTCALL),
    ("warning", "arena", "int f(int a)", kf.ARENA_RET),
    ("warning", "arena", "int f(int a)", kf.ARENA_ARG1),
    ("warning", "arena", "int f(int a)", kf.ARENA_ARG2),
    ("warning", "unknown-flags", "int f(int a)", 1 << 30),
    ("warning", "old-flag", "int f(int a)", 1 << 3),
    ("error", "implicit-args", "int f(int a)", kf.IMPLICIT_ARGS),
]


@pytest.mark.parametrize(("severity", "rule", "declaration", "flags"), BROKEN_KFUNCS)
def test_a_kfunc_that_breaks_a_rule_is_told_with_its_name_and_the_rule(
    severity: str, rule: str, declaration: str, flags: int
) -> None:
    recipe = kfunc(declaration, flags)
    if flags & kf.IMPLICIT_ARGS:
        recipe = recipe.but(release="7.0.0-test")
    assert found(recipe) == [(severity, rule, "f")]


SINCE_7_3 = [
    ("arg-void", "int f(void *a__nullable)", ("warning", "error")),
    ("arg-type", "int f(struct linked *a, int a__sz)", (None, "error")),
    ("arg-type", "int f(struct linked *a, int a__szk)", (None, "error")),
    ("constants", "int f(int a__k, struct s *b, int b__szk)", (None, "error")),
    ("any", "int f(struct s *a, int a__sz)", (None, None)),
    ("any", "int f(struct linked *a, int size)", (None, None)),
    ("suffix", "int f(int a, int b__sz)", ("warning", "warning")),
]
"""The rule, and its severity in 7.2 and in 7.3: tests/vm/test_kfunc_rules.py."""


@pytest.mark.parametrize(("rule", "declaration", "severities"), SINCE_7_3)
def test_arguments_are_judged_by_their_types_since_7_3(
    rule: str, declaration: str, severities: tuple[str | None, str | None]
) -> None:
    for release, severity in zip(("7.2.9-test", "7.3.0-test"), severities, strict=True):
        expected = [(severity, rule, "f")] if severity else []
        assert found(kfunc(declaration, 0).but(release=release)) == expected


FINE_KFUNCS = [
    ("int f(int a, unsigned int b, long c, struct s *d, union u *e)", 0),
    ("void f(void *a, int a__sz)", 0),
    ("void f(void *a__opt, unsigned long a__szk)", 0),
    ("void f(struct s *a__nullable, int b__k)", 0),
    ("void f(void *a__ign, float b__ign)", 0),
    ("void f(void *a__map, struct bpf_map *b__map)", 0),
    ("void f(void *a__refcounted_kptr, const char *b__str)", 0),
    ("void f(struct bpf_dynptr *a__uninit, struct bpf_iter_num *b__iter)", 0),
    ("void f(unsigned long *a__irq_flag, void *b__prog)", 0),
    ("void f(void *a)", kf.ARENA_ARG1),
    ("void f(func *callback)", 0),
    # nothing stands before the suffix, so that it is the name
    ("void f(int __sz, int __k)", 0),
    # the constant size of a struct is a plain number
    ("void f(int a__k, struct s *b, int b__szk)", 0),
    ("const struct s *f(int a)", kf.ACQUIRE | kf.RET_NULL),
    ("struct s *f(struct s *a)", kf.ACQUIRE | kf.RET_NULL | kf.RELEASE),
    ("int *f(int a)", kf.RET_NULL),
    ("void *f(int a)", 0),
    ("union u *f(int a)", 0),
    ("typedef int f(typedef struct s *a)", kf.TRUSTED_ARGS | kf.SLEEPABLE),
    ("int bpf_iter_num_new(struct bpf_iter_num *it, int from, int to)", kf.ITER_NEW),
    ("int *bpf_iter_num_next(struct bpf_iter_num *it)", kf.ITER_NEXT | kf.RET_NULL),
    ("void bpf_iter_num_destroy(struct bpf_iter_num *it)", kf.ITER_DESTROY),
    # called like an iterator's, but it takes none
    ("int bpf_iter_num_new(int a)", 0),
]


@pytest.mark.parametrize(("declaration", "flags"), FINE_KFUNCS)
def test_a_kfunc_that_kernels_take_is_not_complained_about(declaration: str, flags: int) -> None:
    assert found(kfunc(declaration, flags)) == []


BROKEN_ITERATORS = [
    ("iter-flag", "int bpf_iter_num_new(struct bpf_iter_num *it)", kf.ITER_NEW | kf.ITER_NEXT),
    ("iter-arg", "int bpf_iter_num_new(struct s *it)", kf.ITER_NEW),
    ("iter-arg", "int bpf_iter_num_new(int it)", kf.ITER_NEW),
    ("iter-size", "int bpf_iter_odd_new(struct bpf_iter_odd *it)", kf.ITER_NEW),
    ("iter-size", "int bpf_iter_none_new(struct bpf_iter_none *it)", kf.ITER_NEW),
    ("iter-name", "int bpf_iter_num_begin(struct bpf_iter_num *it)", kf.ITER_NEW),
    ("iter-name", "int bpf_iter_num_new(struct bpf_iter_other *it)", kf.ITER_NEW),
    (
        "iter-args",
        "int *bpf_iter_num_next(struct bpf_iter_num *it, int n)",
        kf.ITER_NEXT | kf.RET_NULL,
    ),
    ("iter-return", "int bpf_iter_num_next(struct bpf_iter_num *it)", kf.ITER_NEXT),
    ("iter-return", "int bpf_iter_num_destroy(struct bpf_iter_num *it)", kf.ITER_DESTROY),
]


@pytest.mark.parametrize(("rule", "declaration", "flags"), BROKEN_ITERATORS)
def test_an_iterator_that_breaks_a_rule_is_told(rule: str, declaration: str, flags: int) -> None:
    name = declaration.partition("(")[0].split()[-1].lstrip("*")

    assert found(kfunc(declaration, flags)) == [("error", rule, name)]


def test_an_iterator_without_any_parameter_is_told() -> None:
    assert ("error", "iter-arg", "bpf_iter_num_new") in found(
        kfunc("int bpf_iter_num_new()", kf.ITER_NEW)
    )


def test_an_iterator_without_its_flag_or_without_an_end_is_a_warning() -> None:
    unflagged = kfunc("int bpf_iter_num_new(struct bpf_iter_num *it)")
    endless = kfunc("int *bpf_iter_num_next(struct bpf_iter_num *it)", kf.ITER_NEXT)

    assert found(unflagged) == [("warning", "iter-flag", "bpf_iter_num_new")]
    assert found(endless) == [("warning", "iter-null", "bpf_iter_num_next")]


def test_a_suffix_that_no_kernel_knows_is_noted() -> None:
    assert ("note", "unknown-suffix", "f") in every(kfunc("int f(const char *a__const_str)"))
    assert ("note", "unknown-suffix", "f") not in every(kfunc("int f(int __a, int b_c)"))


def test_implicit_arguments_are_audited_in_the_whole_prototype() -> None:
    whole = "int f_impl(void *a, struct bpf_prog_aux *aux)"
    recipe = kfunc("int f(void *a)", kf.IMPLICIT_ARGS, whole).but(release="7.0.0-test")

    assert found(recipe) == [("error", "arg-void", "f")]
    cut = kfunc("int f(int a)", kf.IMPLICIT_ARGS, "int f_impl(int a)")
    assert found(cut.but(release="7.0.0-test")) == [("warning", "implicit-args", "f")]


SEVEN_2 = vmlinux("int btf_check_modifier_chain_length()", "int bpf_jit_supports_stack_args()")
SEVEN_3 = vmlinux(
    "int btf_check_modifier_chain_length()",
    "int bpf_jit_supports_stack_args()",
    "int bpf_jit_supports_arena_args()",
)
SIX = "int f(int a, int b, int c, int d, int e, int g)"
NEW = [
    # declaration, flags, what 7.2 and what 7.3 make of it
    (SIX, 0, [], []),
    (f"{SIX[:-1]}, int h, int i, int j, int k, int l, int m)", 0, [], []),
    (
        f"{SIX[:-1]}, int h, int i, int j, int k, int l, int m, int n)",
        0,
        [("error", "too-many-args", "f")],
        [("error", "too-many-args", "f")],
    ),
    (
        "int f(void *a__arena, void *b__arena__nullable)",
        0,
        [("error", "arg-void", "f"), ("warning", "suffix", "f")] * 2,
        [],
    ),
    ("int f(struct bpf_map *a__const_map)", 0, [("warning", "suffix", "f")], []),
    ("int f(struct s *a__nonown_allowed)", 0, [], []),
    (
        "int f(void *a__opt, int a__sz)",
        0,
        [("warning", "suffix", "f")],
        [("warning", "suffix", "f")],
    ),
    ("int f(int a)", 1 << 17 | 1 << 18, [("warning", "unknown-flags", "f")] * 2, []),
]


@pytest.mark.parametrize(("declaration", "flags", "in_7_2", "in_7_3"), NEW)
def test_what_is_new_in_7_x_is_known_there(
    declaration: str, flags: int, in_7_2: list[Found], in_7_3: list[Found]
) -> None:
    for base, release, expected in ((SEVEN_2, "7.2.9", in_7_2), (SEVEN_3, "7.3.1", in_7_3)):
        recipe = kfunc(declaration, flags).but(base=base, release=release)
        assert sorted(found(recipe, base=base)) == sorted(expected)


def test_a_name_that_is_taken_keeps_the_set_from_being_registered_since_7_2() -> None:
    recipe = kfunc("int vmlinux_has_it(int a)").but(base=SEVEN_2, release="7.2.9")
    (finding,) = [f for f in audit(read_kfuncs(recipe.module()), SEVEN_2) if f.code == "name-taken"]
    assert "the kernel refuses to register the set" in finding.text
    other = kfunc("int f(int a)").but(base=SEVEN_2)
    btf = other.module().btf
    assert btf is not None
    shared = found(other.but(release="7.2.9"), {"other.ko": btf}, SEVEN_2)
    assert shared == [("error", "name-shared", "f")]


def test_old_kernels_took_the_inner_dynptr() -> None:
    old = vmlinux("int bpf_dynptr_size(struct bpf_dynptr_kern *p)")
    recipe = kfunc("int f(struct bpf_dynptr_kern *a__uninit)").but(base=old)

    assert found(recipe, base=old) == []


def test_big_endian_sets_are_read() -> None:
    base = BtfBuilder(byte_order="big")
    base.add_int("int", 4, encoding=1)
    recipe = SET.but(byte_order="big", base=base.build())

    entries = read_kfuncs(recipe.module()).groups[0].entries
    assert [(e.name, e.flags) for e in entries] == [(name, flags) for _, name, flags in THREE]


def test_unknown_flags_are_in_hex_beside_the_names_of_others() -> None:
    assert kf.spell_flags(kf.ACQUIRE | kf.RET_NULL) == "KF_ACQUIRE | KF_RET_NULL"
    assert kf.spell_flags(kf.SLEEPABLE | 0x80000000) == "KF_SLEEPABLE | 0x80000000"
    assert kf.spell_flags(0) == ""


def test_the_constants_of_flags_are_those_of_the_table() -> None:
    by_name = {flag.name.removeprefix("KF_"): 1 << flag.bit for flag in kf.FLAGS}
    named = {name: value for name, value in vars(kf).items() if name in by_name}

    assert named
    assert named == {name: by_name[name] for name in named}
    assert [flag.bit for flag in kf.FLAGS] == list(range(19))
