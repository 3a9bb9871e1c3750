# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Lists, plain sets and tables of destructors in .BTF_ids, as the audit of kfuncs sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpf.audits import found, swapped
from bpf.sets import ALIKE, SET, Recipe
from kbtf.bpf.kfuncs import read_kfuncs

if TYPE_CHECKING:
    from kbtf import BtfIds

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
