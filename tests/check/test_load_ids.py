# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Verdicts on kfunc sets, lists and ids."""

from __future__ import annotations

import pytest

from check.loads import base, embedding, kernel, module_of, only, pointing
from kbtf import BtfBuilder, Kind, Module
from kbtf.check.result import BtfFate, Loading, Verdict
from kbtf.check.rules.load import judge
from kbtf.testing import ElfSymbol, Ids, make_ids, make_module, write_elf

LISTS = {"mine": [("struct", "thing")]}


def test_a_kfunc_set_with_what_is_no_function_makes_the_init_fail() -> None:
    ids = make_ids(set8s={"k": [("func", "use", 0)]})
    fine = module_of(pointing(base()), ids=ids)
    data = fine.image.data(".BTF_ids") or b""
    wrong = ids._replace(data=data[:8] + b"\x01\0\0\0" + data[12:])
    module = Module(
        make_module(btf=fine.image.data(".BTF"), btf_base=fine.image.data(".BTF.base"), ids=wrong)
    )

    result = judge(module, kernel(base().build()))

    assert (result.verdict, result.btf) == (Verdict.REJECTED, BtfFate.ACCEPTED)
    assert result.loading is Loading.DEPENDS_ON_INIT
    assert only(result).code == "ids-no-func"


def test_an_unresolved_kfunc_in_a_set_makes_the_init_fail() -> None:
    ids = make_ids(set8s={"k": [("func", "use", 0), ("func", "absent", 0)]})

    result = judge(module_of(pointing(base()), ids=ids), kernel(base().build()))

    assert (result.verdict, result.loading) == (Verdict.REJECTED, Loading.DEPENDS_ON_INIT)
    assert only(result).code == "ids-no-func"
    assert "set k has an unresolved kfunc" in only(result).text


def test_kfuncs_are_known_by_their_registration_where_symbols_are_stripped() -> None:
    registers = ElfSymbol("register_btf_kfunc_id_set", None)
    data = write_elf({".modinfo": b"name=tiny\0"}, (registers,))

    result = judge(Module(data), kernel(base().build()))

    assert (result.verdict, only(result).code) == (Verdict.REJECTED, "no-btf")


@pytest.mark.parametrize(
    "function",
    ["register_btf_kfunc_id_set", "register_btf_fmodret_id_set", "register_btf_id_dtor_kfuncs"],
)
def test_each_registration_needs_btf(function: str) -> None:
    data = write_elf({".modinfo": b"name=tiny\0"}, (ElfSymbol(function, None),))

    result = judge(Module(data), kernel(base().build()))

    assert (result.verdict, only(result).code) == (Verdict.REJECTED, "no-btf")


@pytest.mark.parametrize(
    "ids", [make_ids(lists=LISTS), make_ids(sets=LISTS), make_ids(lists=LISTS, sets=LISTS)]
)
def test_ids_that_only_the_module_reads_need_no_btf(ids: Ids) -> None:
    result = judge(Module(make_module(ids=ids)), kernel(base().build()))

    assert (result.verdict, result.btf) == (Verdict.UNKNOWN, BtfFate.NONE)
    assert "kfunc" not in only(result).text


@pytest.mark.parametrize("ids", [make_ids(lists=LISTS), make_ids(sets=LISTS)])
def test_unresolved_ids_that_only_the_module_reads_are_warned_of(ids: Ids) -> None:
    fine = module_of(pointing(base())).image
    data = make_module(btf=fine.data(".BTF"), btf_base=fine.data(".BTF.base"), ids=ids)

    result = judge(Module(data), kernel(base().build()))

    found = next(finding for finding in result.findings if finding.code == "ids-unresolved")
    assert (result.verdict, result.loading) == (Verdict.WARNINGS, Loading.LOADS)
    assert "kfunc" not in found.text


def test_unresolved_destructors_cannot_be_registered() -> None:
    ids = make_ids(lists={"dtors": [("struct", "thing"), ("func", "use")]})
    ids = ids._replace(symbols=(*ids.symbols, ElfSymbol("register_btf_id_dtor_kfuncs", None)))
    fine = module_of(pointing(base())).image
    data = make_module(btf=fine.data(".BTF"), btf_base=fine.data(".BTF.base"), ids=ids)

    result = judge(Module(data), kernel(base().build()))

    assert (result.verdict, only(result).code) == (Verdict.REJECTED, "ids-unresolved")


def test_a_refusal_loses_no_kfuncs_of_a_module_without_them() -> None:
    module = module_of(embedding(base()), ids=make_ids(sets={"mine": [("struct", "mine")]}))

    result = judge(module, kernel(base(32).build()))

    assert result.btf is BtfFate.REFUSED
    assert "kfuncs-lost" not in {finding.code for finding in result.findings}


def test_a_copy_of_a_kernel_struct_under_a_kfunc_is_warned_of() -> None:
    s = BtfBuilder(base().build())
    copy = s.add_composite(Kind.STRUCT, "thing", 16, [("own", 1, 0)])
    s.add_func("use", s.add_func_proto(1, [("thing", s.add_ref(Kind.PTR, copy))]))
    ids = make_ids(set8s={"k": [("func", "use", 0)]})

    result = judge(module_of(s, ids=ids), kernel(base().build()))

    assert result.verdict is Verdict.WARNINGS
    assert only(result).code == "own-copy"
    assert only(result).text.startswith(
        "struct thing, which kfunc use uses, is the module's own copy"
    )
    assert "the two are defined differently" in only(result).text


@pytest.mark.parametrize("distilled", [True, False])
def test_a_copy_that_deduplication_would_have_left_out_is_told_apart(distilled: bool) -> None:
    thing = next(t for t in base().build() if t.name == "thing")
    s = BtfBuilder(base().build())
    copy = s.add_copy(thing)
    s.add_func("use", s.add_func_proto(1, [("thing", s.add_ref(Kind.PTR, copy))]))
    ids = make_ids(set8s={"k": [("func", "use", 0)]})

    result = judge(module_of(s, ids=ids, distilled=distilled), kernel(base().build()))

    found = next(finding for finding in result.findings if finding.code == "own-copy")
    assert "was not deduplicated against the kernel's" in found.text
    assert "kbtf run" in (found.hint or "")


def test_kfunc_sets_without_btf_are_an_error_and_a_module_without_both_is_not_ok() -> None:
    ids = make_ids(set8s={"k": [("func", "use", 0)]})

    with_ids = judge(Module(make_module(ids=ids)), kernel(base().build()))
    without = judge(Module(make_module()), kernel(base().build()))

    assert (with_ids.verdict, with_ids.btf) == (Verdict.REJECTED, BtfFate.NONE)
    assert with_ids.loading is Loading.LOADS
    assert (without.verdict, without.btf) == (Verdict.UNKNOWN, BtfFate.NONE)


def test_ids_that_are_unresolved_or_of_another_base_are_errors_of_their_own() -> None:
    ids = make_ids(set8s={"k": [("func", "use", 0)]})
    fine = module_of(pointing(base()), ids=ids)
    unresolved = Module(
        make_module(btf=fine.image.data(".BTF"), btf_base=fine.image.data(".BTF.base"), ids=ids)
    )
    wrong = Module(
        make_module(
            btf=fine.image.data(".BTF"),
            btf_base=fine.image.data(".BTF.base"),
            ids=ids._replace(data=ids.data[:8] + b"\x01\0\0\0" + ids.data[12:]),
        )
    )

    for module, code in ((unresolved, "ids-unresolved"), (wrong, "ids-no-func")):
        result = judge(module, kernel(base().build()))
        assert (result.verdict, result.btf) == (Verdict.REJECTED, BtfFate.ACCEPTED)
        assert only(result).code == code


def test_a_list_that_the_kernel_does_not_relocate_is_warned_of() -> None:
    ids = make_ids(lists={"mine": [("func", "use")]})

    result = judge(module_of(pointing(base()), ids=ids), kernel(base().build()))

    assert result.verdict is Verdict.WARNINGS
    assert only(result).code == "ids-list"
