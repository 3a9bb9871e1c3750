# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Kfunc sets: those that the kernel does not take, or that hold something else than was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpf.audits import OLD_BASE, every, found, swapped
from bpf.sets import ALIKE, SET, THREE, Recipe, kfunc
from kbtf import Module
from kbtf.bpf.audit.rules import audit
from kbtf.bpf.kfuncs import read_kfuncs
from kbtf.ids import kfunc_flags as kf
from kbtf.testing import ElfSymbol

if TYPE_CHECKING:
    from kbtf import BtfIds


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
    assert "which of the flags apply is undefined" in finding.text


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


def test_lists_without_btf_are_not_taken_for_kfunc_sets() -> None:
    recipe = Recipe(ALIKE, lists={"a_list": [("func", "f0")]}, imports=[], has_btf=False)

    assert "no-btf" not in {finding.code for finding in audit(read_kfuncs(recipe.module()))}


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


def test_a_section_whose_symbols_are_gone_is_told() -> None:
    data = SET.make().replace(b"__BTF_ID__", b"__BTF_XX__")
    module = Module(data, "bare.ko", find_base=lambda _: SET.found)

    assert [f.code for f in audit(read_kfuncs(module))] == ["no-symbols"]
