# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The audit of kfuncs: each rule broken once.

That kernels refuse what is called an error here is seen in tests/vm/test_kfunc_rules.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpf.sets import ALIKE, SET, THREE, Recipe, kfunc, vmlinux
from kbtf import BtfBuilder, Module
from kbtf import kfunc_flags as kf
from kbtf.bpf.audit import audit
from kbtf.bpf.kfuncs import read_kfuncs
from kbtf.testing import ElfSymbol

if TYPE_CHECKING:
    from kbtf import BtfIds
    from kbtf.btf.btf import Btf

BASE = vmlinux()
OLD_BASE = vmlinux(relocates=False)

Found = tuple[str, str, str]
"""Severity, rule and symbol of a finding."""


def found(recipe: Recipe, others: dict[str, Btf] | None = None, base: Btf = BASE) -> list[Found]:
    """What is told of a module, but for notes."""
    all_of_it = every(recipe, others, base)
    return [one for one in all_of_it if one[0] != "note"]


def every(
    recipe: Recipe, others: dict[str, Btf] | None = None, base: Btf | None = BASE
) -> list[Found]:
    """The same with notes."""
    findings = audit(read_kfuncs(recipe.module()), base, others)
    for finding in findings:
        assert finding.type is None or finding.type in finding.text or finding.code == "no-set"
    return [(f.severity.value, f.code, f.type or "") for f in findings]


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
    assert found(kfunc(declaration, flags)) == [(severity, rule, "f")]


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
    recipe = kfunc("int f(void *a)", kf.IMPLICIT_ARGS, whole)

    assert found(recipe) == [("error", "arg-void", "f")]
    cut = kfunc("int f(int a)", kf.IMPLICIT_ARGS, "int f_impl(int a)")
    assert found(cut) == [("warning", "implicit-args", "f")]


def test_a_set_that_breaks_no_rule_is_not_complained_about() -> None:
    for recipe in (SET, SET.but(is_distilled=True), SET.but(base=OLD_BASE)):
        assert found(recipe) == []


def no_flag(words: list[int], ids: BtfIds) -> None:
    words[ids.sets[0].at + 1] = 0


def test_a_set_without_its_flag_is_told() -> None:
    assert found(SET.but(change=no_flag)) == [("error", "set-flag", "the_set")]
    # plain split BTF is for that kernel alone, which may be one from before 6.9
    old = SET.but(change=no_flag, base=OLD_BASE)
    assert found(old) == [("warning", "set-flag", "the_set")]


def test_a_set_for_fmodret_needs_no_flag_and_its_functions_no_arguments_of_kfuncs() -> None:
    recipe = kfunc("int f(void *a, ...)").but(imports=["register_btf_fmodret_id_set"])

    assert found(recipe.but(change=no_flag)) == []
    assert read_kfuncs(recipe.module()).groups[0].kind.value == "fmodret set"


@pytest.mark.parametrize("is_distilled", [False, True])
def test_a_set_that_was_not_resolved_is_told_with_what_it_would_hold(is_distilled: bool) -> None:
    recipe = SET.but(is_resolved=False, is_distilled=is_distilled)

    assert found(recipe) == [("error", "ids-unresolved", "the_set")]
    entries = read_kfuncs(recipe.module()).groups[0].entries
    assert [(e.name, e.id, e.flags, e.prototype) for e in entries] == [
        ("f0", 0, 0, "int f0(int a)"),
        ("f1", 0, kf.SLEEPABLE, "int f1(int a)"),
        ("f2", 0, kf.TRUSTED_ARGS, "int f2(int a)"),
    ]


def test_a_kfunc_that_is_in_no_btf_is_told_before_and_after_resolving() -> None:
    lost = SET.but(set8s={"the_set": [*THREE, ("func", "lost", 0)]})

    assert found(lost) == [("error", "ids-no-func", "the_set")]
    assert found(lost.but(is_resolved=False)) == [
        ("error", "ids-unresolved", "the_set"),
        ("error", "ids-no-func", "lost"),
    ]
    (finding,) = [f for f in audit(read_kfuncs(lost.module())) if f.code == "ids-no-func"]
    assert "lost not resolved (id 0)" in finding.text


def test_a_set_with_a_struct_in_it_is_told() -> None:
    recipe = Recipe(["int f(struct s *a)"], {"the_set": [("func", "f", 0), ("struct", "s", 0)]})

    assert found(recipe) == [("error", "ids-no-func", "the_set")]


def test_a_set_with_an_id_that_no_type_has_is_told() -> None:
    def past_the_end(words: list[int], ids: BtfIds) -> None:
        words[ids.sets[0].id_words[2]] = 1 << 20

    recipe = SET.but(change=past_the_end)
    assert found(recipe) == [("error", "ids-no-func", "the_set")]
    assert found(recipe.but(is_distilled=True)) == [("error", "ids-no-func", "the_set")]
    (finding, *_) = audit(read_kfuncs(recipe.but(is_distilled=True).module()))
    assert "reads past the end of its map of ids" in finding.text


def test_a_set_that_was_resolved_against_other_btf_is_told() -> None:
    recipe = SET.but(set8s={"the_set": THREE[:2]})

    def another(words: list[int], ids: BtfIds) -> None:
        words[ids.sets[0].id_words[1]] += 2  # a prototype stands between

    assert found(recipe.but(change=another)) == [("error", "ids-mismatch", "the_set")]


def test_a_set_with_a_function_twice_is_told() -> None:
    twice = SET.but(set8s={"the_set": [*THREE, THREE[1]]})
    unlike = SET.but(set8s={"the_set": [*THREE, ("func", "f1", 0)]})

    assert found(twice) == [("warning", "duplicate", "the_set")]
    assert found(unlike) == [("warning", "duplicate", "the_set")]
    (finding,) = [f for f in audit(read_kfuncs(unlike.module())) if f.code == "duplicate"]
    assert "which flags count is chance" in finding.text


def swapped(words: list[int], ids: BtfIds) -> None:
    first, second, *_ = ids.sets[0].id_words
    words[first], words[second] = words[second], words[first]


def test_a_set_out_of_order_is_an_error_where_the_kernel_does_not_sort_it_itself() -> None:
    recipe = SET.but(change=swapped)

    assert found(recipe) == [("warning", "not-sorted", "the_set")]
    assert found(recipe.but(is_distilled=True)) == [("warning", "not-sorted", "the_set")]
    assert found(recipe.but(base=OLD_BASE)) == [("error", "not-sorted", "the_set")]


def test_a_set_of_257_is_told_and_one_of_256_is_not() -> None:
    def of(number: int) -> Recipe:
        names = [f"f{n}" for n in range(number)]
        functions = [f"int {name}(int a)" for name in names]
        return Recipe(functions, {"the_set": [("func", name, 0) for name in names]})

    assert found(of(256)) == []
    assert found(of(257)) == [("error", "too-many", "the_set")]


@pytest.mark.parametrize("off", [-1, 1])
def test_a_set_that_counts_wrong_is_told(off: int) -> None:
    def miscounted(words: list[int], ids: BtfIds) -> None:
        words[ids.sets[0].at] += off

    assert found(SET.but(change=miscounted)) == [("error", "count", "the_set")]


def test_an_empty_set_is_noted() -> None:
    assert ("note", "empty", "the_set") in every(SET.but(set8s={"the_set": [], "more": THREE}))


def test_ids_outside_of_the_section_are_told() -> None:
    symbol = "__BTF_ID__set8__lost"
    recipe = SET.but(symbols=[ElfSymbol(symbol, ".text", 0, 8)])

    assert found(recipe) == [("error", "outside", symbol)]


def test_registering_a_set_that_is_nowhere_is_told() -> None:
    recipe = Recipe(ALIKE, lists={"a_list": [("func", "f0")]})

    assert found(recipe) == [("error", "no-set", "register_btf_kfunc_id_set")]
    assert found(recipe.but(imports=[])) == []


def test_sets_without_btf_are_told() -> None:
    assert ("error", "no-btf", "tiny.ko") in [
        (f.severity.value, f.code, f.type)
        for f in audit(read_kfuncs(SET.but(has_btf=False).module()))
    ]


def test_a_name_that_vmlinux_has_is_told() -> None:
    name = "vmlinux_has_it"
    recipe = kfunc(f"int {name}(int a)")

    # plain split BTF: resolve_btfids takes the kernel's function for the module's
    assert found(recipe) == [("error", "name-taken", name)]
    assert found(recipe.but(is_distilled=True)) == [("error", "name-taken", name)]
    assert every(recipe.but(is_distilled=True), base=None) == [("note", "no-tag", "")]


def test_a_name_that_another_module_has_is_told() -> None:
    other = kfunc("long f1(long a)").module("other").btf
    assert other is not None

    assert found(SET, {"other.ko": other}) == [("warning", "name-shared", "f1")]


def test_flags_that_differ_between_sets_are_told() -> None:
    sets = {"one": THREE, "two": [THREE[1], ("func", "f2", kf.SLEEPABLE)]}

    assert found(SET.but(set8s=sets)) == [("warning", "flags-differ", "f2")]


LISTS = {"a_list": [("func", "f0")], "__bpf_trace_btf_ids_event": [("func", "f1")]}


def test_lists_and_plain_sets_that_kernels_do_not_relocate_are_told() -> None:
    recipe = SET.but(lists=LISTS, sets={"a_set": [("func", "f2")]})

    assert found(recipe) == []
    assert found(recipe.but(is_distilled=True)) == [
        ("warning", "ids-list", "a_set"),
        ("warning", "ids-list", "a_list"),
    ]
    kinds = {g.name: g.kind.value for g in read_kfuncs(recipe.module()).groups}
    assert kinds == {
        "the_set": "kfunc set",
        "a_set": "set",
        "a_list": "list",
        "__bpf_trace_btf_ids_event": "tracepoint list",
    }


def test_lists_and_plain_sets_that_are_not_resolved_are_told() -> None:
    recipe = SET.but(sets={"a_set": [("func", "f2"), ("func", "lost")]})
    assert found(recipe) == [("warning", "ids-unresolved", "a_set")]
    recipe = SET.but(lists={"a_list": [("func", "f2"), ("struct", "lost")]})
    assert found(recipe) == [("warning", "ids-unresolved", "a_list")]


def test_a_plain_set_out_of_order_is_told() -> None:
    recipe = Recipe(ALIKE, sets={"a_set": [("func", "f0"), ("func", "f1")]}, imports=[])

    assert found(recipe.but(change=swapped)) == [("error", "not-sorted", "a_set")]


def test_a_list_that_was_resolved_against_other_btf_is_told() -> None:
    def another(words: list[int], ids: BtfIds) -> None:
        words[ids.slots[0].at] += 1

    recipe = Recipe(ALIKE, lists={"a_list": [("func", "f0")]}, imports=[])
    assert found(recipe.but(change=another)) == [("error", "ids-mismatch", "a_list")]


def dtors(*declarations: str) -> Recipe:
    names = [declaration.partition("(")[0].split()[-1].lstrip("*") for declaration in declarations]
    pairs = [pair for name in names for pair in (("struct", "s"), ("func", name))]
    recipe = SET.but(functions=[*ALIKE, "int uses(struct s *s)", *declarations])
    return recipe.but(
        lists={"the_dtors": pairs},
        imports=["register_btf_kfunc_id_set", "register_btf_id_dtor_kfuncs"],
    )


def test_a_table_of_destructors_is_told_apart_and_relocated() -> None:
    recipe = dtors("void gone(const struct s *s)", "void any(void *p)")

    assert found(recipe) == found(recipe.but(is_distilled=True)) == []
    assert read_kfuncs(recipe.module()).groups[-1].kind.value == "dtor table"


@pytest.mark.parametrize(
    "declaration",
    [
        "int gone(struct s *s)",
        "void gone(struct s *s, int n)",
        "void gone(int n)",
        "void gone()",
    ],
)
def test_what_is_no_destructor_is_told(declaration: str) -> None:
    assert found(dtors(declaration)) == [("error", "dtor", "gone")]


def test_a_destructor_that_is_not_there_is_told() -> None:
    recipe = dtors("void gone(struct s *s)")
    functions = [function for function in recipe.functions if "gone" not in function]

    assert found(recipe.but(functions=functions)) == [
        ("error", "ids-no-func", "gone"),
    ]


def test_256_destructors_are_too_many() -> None:
    names = [f"void gone{n}(struct s *s)" for n in range(256)]

    # resolve_btfids takes a hundred slots of a name, so that each has a struct of its own
    recipe = dtors(*names)
    structs = [f"int uses{n}(struct s{n} *s)" for n in range(256)]
    pairs = [p for n in range(256) for p in (("struct", f"s{n}"), ("func", f"gone{n}"))]
    recipe = recipe.but(functions=[*ALIKE, *structs, *names], lists={"the_dtors": pairs})
    assert found(recipe) == [("error", "too-many", "the_dtors")]
    assert found(recipe.but(lists={"the_dtors": pairs[:-2]})) == []


def test_a_section_whose_symbols_are_gone_is_told() -> None:
    data = SET.make().replace(b"__BTF_ID__", b"__BTF_XX__")
    module = Module(data, "bare.ko", find_base=lambda _: SET.found)

    assert [f.code for f in audit(read_kfuncs(module))] == ["no-symbols"]


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
    assert [flag.bit for flag in kf.FLAGS] == list(range(17))
