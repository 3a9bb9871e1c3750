# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``.BTF_ids``: what resolve_btfids writes, and ids that follow their types."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from kbtf import (
    Btf,
    BtfBuilder,
    BtfIds,
    BtfIdsError,
    ElfImage,
    Kind,
    Module,
    ids_mismatch,
    read_ids,
    resolve_ids,
    rewrite_ids,
)
from kbtf.testing import ElfSymbol, make_base, make_ids, make_module, write_elf

if TYPE_CHECKING:
    from pathlib import Path

    from kbtf.testing import Ids


def ids_of(ids: Ids, byte_order: str = "little") -> BtfIds:
    found = read_ids(ElfImage(make_module(ids=ids, byte_order=byte_order)))
    assert found is not None
    return found


def functions(*names: str) -> BtfBuilder:
    b = BtfBuilder(byte_order="little")
    proto = b.add_func_proto(0)
    for name in names:
        b.add_func(name, proto)
    return b


@pytest.mark.parametrize("name", ["fou", "tcp_dctcp", "xfrm_interface"])
def test_corpus_modules_are_resolved_as_resolve_btfids_does(
    name: str, corpus: Path, corpus_base: Btf
) -> None:
    plain = Module.open(str(corpus / "btf_ids" / f"{name}.unresolved.ko"))
    ids = read_ids(plain.image)
    assert ids is not None
    assert not ids.is_resolved
    split = Btf.parse(plain.image.data(".BTF") or b"", corpus_base)
    resolved = resolve_ids(ids, split)
    golden = corpus / "btf_ids" / f"{name}.resolved.ids"
    assert resolved.ids.to_bytes() == golden.read_bytes()

    distilled = Module.open(str(corpus / "btf_ids" / f"{name}.distilled.ko"))
    ids = read_ids(distilled.image)
    assert ids is not None
    assert distilled.btf is not None
    golden = corpus / "btf_ids" / f"{name}.distilled.ids"
    assert resolve_ids(ids, distilled.btf).ids.to_bytes() == golden.read_bytes()


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_a_set8_is_sorted_by_id_and_flags_stay_with_their_kfunc(byte_order: str) -> None:
    # ids 4, 3, 2 in the order of the set
    btf = functions("third", "second", "first").build()
    names = [("func", "first", 0x10), ("func", "second", 0x20), ("func", "third", 0x30)]
    ids = ids_of(make_ids(set8s={"kfuncs": names}, byte_order=byte_order), byte_order)

    resolved = resolve_ids(ids, btf)

    assert resolved.warnings == []
    assert resolved.ids.words == (3, 1, 2, 0x30, 3, 0x20, 4, 0x10)
    order = ">" if byte_order == "big" else "<"
    assert resolved.ids.to_bytes() == struct.pack(f"{order}8I", *resolved.ids.words)


def test_a_set_is_counted_and_sorted() -> None:
    btf = functions("c", "b", "a").build()
    ids = ids_of(make_ids(sets={"names": [("func", "a"), ("func", "b"), ("func", "c")]}))

    assert resolve_ids(ids, btf).ids.words == (3, 2, 3, 4)


def test_a_list_keeps_its_order_and_an_unused_slot_stays_zero() -> None:
    btf = functions("c", "b", "a").build()
    made = make_ids(lists={"list": [("func", "a"), ("func", "c")]})
    unused = made._replace(data=made.data + bytes(4))

    assert resolve_ids(ids_of(unused), btf).ids.words == (4, 2, 0)


def test_names_are_told_apart_by_kind() -> None:
    b = BtfBuilder(byte_order="little")
    b.add_int("S", 4)
    b.add_ref(Kind.TYPEDEF, 1, "S")
    b.add_composite(Kind.UNION, "S", 4)
    b.add_composite(Kind.STRUCT, "S", 4)
    b.add_func("S", b.add_func_proto(0))
    kinds = ["struct", "union", "typedef", "func"]
    ids = ids_of(make_ids(lists={"list": [(kind, "S") for kind in kinds]}))

    assert resolve_ids(ids, b.build()).ids.words == (4, 3, 2, 6)


def test_a_name_with_underscores_is_cut_at_the_last_two() -> None:
    btf = functions("a__b__c").build()
    ids = ids_of(make_ids(lists={"list": [("func", "a__b__c")]}))

    assert ids.slots[0].name == "a__b__c"
    assert resolve_ids(ids, btf).ids.words == (2,)


def test_the_base_comes_before_the_split() -> None:
    base = functions("both").build()
    s = BtfBuilder(base)
    s.add_func("both", 1)
    s.add_func("own", 1)
    ids = ids_of(make_ids(lists={"list": [("func", "both"), ("func", "own")]}))

    assert resolve_ids(ids, s.build()).ids.words == (2, 4)


def test_unresolved_symbols_are_zero_and_warned_of_names_descending() -> None:
    btf = functions("there").build()
    listed = [("func", "x"), ("func", "y"), ("struct", "z"), ("func", "there")]
    resolved = resolve_ids(ids_of(make_ids(lists={"list": listed})), btf)

    assert resolved.ids.words == (0, 0, 0, 2)
    assert list(map(str, resolved.warnings)) == [
        "unresolved symbol z",
        "unresolved symbol y",
        "unresolved symbol x",
    ]


def test_a_second_type_of_a_name_is_warned_of() -> None:
    btf = functions("twice", "twice", "last").build()
    ids = ids_of(make_ids(lists={"list": [("func", "twice"), ("func", "last")]}))

    resolved = resolve_ids(ids, btf)

    assert resolved.ids.words == (2, 4)
    assert list(map(str, resolved.warnings)) == ["multiple IDs found for 'twice': 2, 3 - using 2"]


def test_a_duplicate_behind_the_end_of_the_scan_is_not_warned_of() -> None:
    btf = functions("twice", "last", "twice").build()
    ids = ids_of(make_ids(lists={"list": [("func", "twice"), ("func", "last")]}))

    assert resolve_ids(ids, btf).warnings == []


def test_resolved_ids_follow_their_types_and_sets_are_sorted_again() -> None:
    btf = functions("a", "b", "c").build()
    names = [("func", "c", 0xC), ("func", "a", 0xA), ("func", "b", 0xB)]
    made = make_ids(lists={"list": [("func", "b")]}, set8s={"set": names})
    resolved = resolve_ids(ids_of(made), btf).ids

    moved = rewrite_ids(resolved, {2: 30, 3: 20, 4: 10}.__getitem__)

    assert moved.warnings == []
    assert moved.ids.words == (20, 3, 1, 10, 0xC, 20, 0xB, 30, 0xA)


def test_an_id_that_is_gone_becomes_zero_and_is_warned_of() -> None:
    btf = functions("a").build()
    resolved = resolve_ids(ids_of(make_ids(lists={"list": [("func", "a")]})), btf).ids

    moved = rewrite_ids(resolved, lambda _: 0)

    assert moved.ids.words == (0,)
    assert list(map(str, moved.warnings)) == ["the type of a is no longer there"]


def test_ids_of_another_base_are_recognised_in_lists_and_sets() -> None:
    btf = functions("a", "b").build()
    other = functions("new", "a", "b").build()
    in_list = make_ids(lists={"list": [("func", "a")]})
    in_set = make_ids(set8s={"set": [("func", "b", 0), ("func", "a", 0)]})

    for made in (in_list, in_set):
        resolved = resolve_ids(ids_of(made), btf).ids
        assert resolved.is_resolved
        assert ids_mismatch(resolved, btf) is None
        assert ids_mismatch(resolved, other) is not None
        assert ids_mismatch(resolved, functions().build()) is not None


def test_an_empty_set_has_nothing_to_resolve() -> None:
    ids = ids_of(make_ids(set8s={"kfuncs": []}))

    assert ids.is_resolved
    assert ids_mismatch(ids, functions().build()) is None


def test_lists_are_told_by_their_labels() -> None:
    made = make_ids(
        lists={"one": [("func", "a")], "two": [("func", "b"), ("func", "c")]},
        set8s={"kfuncs": [("func", "d", 0)]},
    )

    assert ids_of(made).list_names == ["one", "two"]


def test_without_the_section_or_symbols_there_are_no_ids() -> None:
    assert read_ids(ElfImage(make_module())) is None
    assert read_ids(ElfImage(write_elf({".BTF_ids": bytes(8)}))) is None


BAD = {
    "another kind": (ElfSymbol("__BTF_ID__enum__e__1", ".BTF_ids"), "kind 'enum'"),
    "no suffix": (ElfSymbol("__BTF_ID__func__name", ".BTF_ids"), "suffix"),
    "a suffix with one underscore": (ElfSymbol("__BTF_ID__func__na_1", ".BTF_ids"), "suffix"),
    "outside the section": (ElfSymbol("__BTF_ID__func__f__1", ".BTF_ids", 8), "outside"),
    "before the section": (ElfSymbol("__BTF_ID__func__f__1", ".BTF_ids", 2**64 - 4), "outside"),
    "no room for a count": (ElfSymbol("__BTF_ID__set8__s", ".BTF_ids", 4, 8), "no room"),
    "a set without its count": (ElfSymbol("__BTF_ID__set8__s", ".BTF_ids", 0, 4), "too few"),
    "a set without name": (ElfSymbol("__BTF_ID__set__", ".BTF_ids", 0, 8), "no set"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_symbol_that_makes_no_sense_is_refused_by_name(case: str) -> None:
    symbol, words = BAD[case]
    with pytest.raises(BtfIdsError, match=words) as caught:
        read_ids(ElfImage(write_elf({".BTF_ids": bytes(8)}, (symbol,))))
    assert "__BTF_ID__" in str(caught.value) or "set" in str(caught.value)


ODD = {
    "not aligned": (ElfSymbol("__BTF_ID__func__f__1", ".BTF_ids", 2), "(offset 2) is not aligned"),
    "a set that is longer": (ElfSymbol("__BTF_ID__set__s", ".BTF_ids", 0, 16), "reaches past the"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_resolve_btfids_does_not_mind_is_told(case: str) -> None:
    symbol, words = ODD[case]
    ids = read_ids(ElfImage(write_elf({".BTF_ids": bytes(8)}, (symbol,))))

    assert ids is not None
    assert words in ids.oddities[0]
    assert ids.id_words == ({0} if ids.slots else {1})
    assert resolve_ids(ids, make_base().build()).ids.words == ((0, 0) if ids.slots else (3, 0))


def test_a_kind_is_told_by_its_first_letters() -> None:
    symbol = ElfSymbol("__BTF_ID__structx__task_struct__1", ".BTF_ids")
    ids = read_ids(ElfImage(write_elf({".BTF_ids": bytes(8)}, (symbol,))))

    assert ids is not None
    assert [(s.kind, s.name) for s in ids.slots] == [(Kind.STRUCT, "_task_struct")]


def test_two_sets_of_one_name_are_refused() -> None:
    symbols = tuple(ElfSymbol("__BTF_ID__set__s", ".BTF_ids", at, 4) for at in (0, 4))
    with pytest.raises(BtfIdsError, match="two sets s"):
        read_ids(ElfImage(write_elf({".BTF_ids": bytes(8)}, symbols)))


def test_100_slots_of_a_name_are_allowed_and_101_refused() -> None:
    assert len(ids_of(make_ids(lists={"l": [("func", "f")] * 100})).slots) == 100
    with pytest.raises(BtfIdsError, match="more than 100"):
        ids_of(make_ids(lists={"l": [("func", "f")] * 101}))
