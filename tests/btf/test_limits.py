# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Types made to be costly: what is long is followed once, what is repeated is measured first."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest

from btf.of_tomorrow import NEW, first_of_new_kind
from hostile.shapes import as_base
from kbtf import Btf, BtfBuilder, BtfError, Kind
from kbtf.btf.c_type_name import shown, spell
from kbtf.btf.diff import diff_bases
from kbtf.btf.dump.c.header import dump_c
from kbtf.btf.kinds import MODIFIERS
from kbtf.native import _native

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _takes_no_time() -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < 5


@pytest.mark.parametrize("kind", ["structs", "typedefs", "enums", "declared", "members", "values"])
def test_names_that_share_storage_are_measured_before_they_are_copied(kind: str) -> None:
    with pytest.raises(BtfError, match="all names up to this one are too long"):
        Btf.parse(as_base(f"{kind} of suffixes"))


def test_names_of_an_unknown_kind_are_measured_too() -> None:
    b = BtfBuilder(byte_order="little")
    for _ in range(600):
        b.add_ref(Kind.TYPEDEF, 0, "x" * 65_000)
    blob = first_of_new_kind(b)
    one, other = (struct.pack("<I", kind << 24) for kind in (Kind.TYPEDEF, NEW))

    with pytest.raises(BtfError, match="all names up to this one are too long"):
        Btf.parse(blob.replace(one, other))


@pytest.mark.parametrize("indexed", [False, True])
def test_types_of_one_name_are_not_counted_for_each_other(indexed: bool) -> None:
    b = BtfBuilder(byte_order="little")
    b.add_int("int", 4)
    for _ in range(200_000):
        b.add_composite(Kind.STRUCT, "s", 8)
    s = BtfBuilder(Btf.parse(b.to_bytes()))
    s.add_ref(Kind.PTR, 2)
    target = b.build()
    names = _native.index_base(target.index, 1) if indexed else None

    assert _native.relocate(s.build().index, target.index, names).reason == "ambiguous"


def test_real_names_are_far_from_that(corpus_base: Btf) -> None:
    names = sum(len(t.name) + sum(len(m.name) for m in t.members) for t in corpus_base)
    assert names < 4 * len(corpus_base.data)


def test_a_chain_is_followed_once() -> None:
    btf = Btf.parse(as_base("chain of typedefs"))
    ends = {btf.skip(type_id).id for type_id in range(btf.end_id - 1, 3, -1)}
    assert ends == {1} | {t.id for t in btf if t.kind not in MODIFIERS} & ends


def test_arrays_are_seen_through_if_asked() -> None:
    b = BtfBuilder()
    number = b.add_int("int", 4)
    array = b.add_array(b.add_ref(Kind.CONST, number), number, 3)
    btf = b.build()
    assert btf.skip(array).id == array
    assert btf.skip(array, MODIFIERS | {Kind.ARRAY}).id == number


@pytest.mark.parametrize("length", [9, 20])
def test_a_ring_ends(length: int) -> None:
    b = BtfBuilder()
    for number in range(length):
        b.add_ref(Kind.CONST, number or length)
    btf = b.build()
    for _ in range(2):
        assert btf.skip(3).kind is Kind.CONST


def test_sizes_of_arrays_of_arrays_saturate() -> None:
    number, arrays = BtfBuilder(), BtfBuilder()
    for b in (number, arrays):
        target = b.add_int("int", 4)
        for _ in range(600 if b is arrays else 0):
            target = b.add_array(target, 1, 2**31)
        b.add_ref(Kind.TYPEDEF, target, "t")

    (resized,) = diff_bases(number.build(), arrays.build()).resized
    assert [named.size for named in resized] == [4, 2**64 - 1]
    assert str(resized[1]) == "typedef t (18446744073709551615 bytes)"


def test_c_has_no_room_for_arrays_without_end() -> None:
    with pytest.raises(BtfError, match=f"ends at bit {8 * (2**64 - 1)}, past"):
        dump_c(Btf.parse(as_base("short chain of arrays that double")))


def test_what_is_spelt_is_bounded() -> None:
    b = BtfBuilder()
    target = b.add_int("n" * 5000, 4)
    for _ in range(8):
        proto = b.add_func_proto(target, [("p", target)] * 16)
        target = b.add_ref(Kind.PTR, proto)
    assert len(spell(b.build(), target)) < 2000
    assert shown("n" * 5000) == "n" * 256 + "..."


@pytest.mark.parametrize("shape", ["fan over consts", "fan over arrays", "fan over a long chain"])
def test_a_header_does_not_follow_chains_again_and_again(shape: str) -> None:
    with pytest.raises(BtfError, match="hold each other too often"):
        dump_c(Btf.parse(as_base(shape)))
