# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Kinds 20 to 22, which the next kernels have, and one that nobody knows yet."""

from __future__ import annotations

import json
import struct

import pytest

from kbtf import Btf, BtfBuilder, BtfError, Kind, Severity, deduplicate, distill, relocate
from kbtf.btf.dump.c.header import dump_c
from kbtf.btf.dump.json import dump_json
from kbtf.btf.dump.raw import dump_raw
from kbtf.btf.raw import RawBtf
from kbtf.btf.rules import OLDEST
from kbtf.btf.verify import verify

CONST_FLAG = True


def of_int(byte_order: str = "little") -> BtfBuilder:
    """A base with int [1]."""
    b = BtfBuilder(byte_order=byte_order)
    b.add_int("int", 4, encoding=1)
    return b


def inline_sites(base: Btf, byte_order: str = "little") -> Btf:
    """Two functions of one prototype, and where they are inlined.  int is [1] of the base."""
    b = BtfBuilder(base, byte_order=byte_order)
    start = b.next_id
    proto = b.add_func_proto(1, [("a", 1)])
    b.add_func("one", proto)
    b.add_func("two", proto)
    in_register = b.add(Kind.LOC_PARAM, size_or_type=(-4) & 0xFFFFFFFF, words=(5, 0))
    at_offset = b.add(Kind.LOC_PARAM, size_or_type=8, words=(1 << 16 | 7, (-16) & 0xFFFFFFFF))
    number = b.add(Kind.LOC_PARAM, kind_flag=CONST_FLAG, size_or_type=8, words=(1, 2))
    places = (in_register, 0, at_offset, number)
    loc_proto = b.add(Kind.LOC_PROTO, vlen=4, words=places)
    sites = (start + 1, loc_proto, 0x10, start + 2, loc_proto, 0x20, start + 1, loc_proto, 0x30)
    b.add(Kind.LOCSEC, ".text", vlen=3, words=sites)
    return b.build()


RAW = """\
[{0}] FUNC_PROTO '(anon)' ret_type_id=1 vlen=1
\t'a' type_id=1
[{1}] FUNC 'one' type_id={0} linkage=global
[{2}] FUNC 'two' type_id={0} linkage=global
[{3}] LOC_PARAM '(anon)' size=-4 reg=5 flags=0x0
[{4}] LOC_PARAM '(anon)' size=8 reg=7 flags=0x1 offset=-16
[{5}] LOC_PARAM '(anon)' size=8 value=8589934593
[{6}] LOC_PROTO '(anon)' type_id=0 vlen=4
\ttype_id={3}
\ttype_id=0
\ttype_id={4}
\ttype_id={5}
[{7}] LOCSEC '.text' vlen=3
\t'one' type_id={1} loc_proto={6} offset=0x10
\t'two' type_id={2} loc_proto={6} offset=0x20
\t'one' type_id={1} loc_proto={6} offset=0x30
"""


def raw_from(first: int) -> str:
    return RAW.format(*range(first, first + 8))


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_inline_sites_are_dumped(byte_order: str) -> None:
    base = of_int(byte_order).build()
    btf = inline_sites(base, byte_order)

    assert "".join(dump_raw(btf)) == raw_from(base.end_id)
    *_, loc_proto, locsec = json.loads("".join(dump_json(btf)))["types"]
    assert loc_proto["params"][1] == 0
    assert [site["offset"] for site in locsec["locs"]] == [16, 32, 48]
    assert "inline" not in dump_c(btf)


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_inline_sites_are_distilled_and_relocated(byte_order: str) -> None:
    base = of_int(byte_order).build()
    grown = of_int(byte_order)
    grown.add_composite(Kind.STRUCT, "more", 8)

    made = distill(inline_sites(base, byte_order))
    moved = relocate(made.split, grown.build())

    assert [t.name for t in made.base] == ["int"]
    assert "".join(dump_raw(made.split)) == raw_from(2)
    assert "".join(dump_raw(moved)) == raw_from(grown.next_id)
    assert moved[moved.end_id - 1].children[:2] == [grown.next_id + 1, grown.next_id + 6]


def test_inline_sites_move_with_their_functions() -> None:
    raw = RawBtf(inline_sites(of_int().build()))
    raw.sort_by_name()
    btf = raw.build()

    (locsec,) = (t for t in btf if t.kind is Kind.LOCSEC)
    called = [btf[func].name for func in locsec.words[::3]]
    assert called == ["one", "two", "one"]
    assert {btf[at].kind for at in locsec.words[1::3]} == {Kind.LOC_PROTO}


def test_inline_sites_are_kept_where_their_functions_are_deduplicated() -> None:
    base = of_int()
    proto = base.add_func_proto(1, [("a", 1)])
    split = inline_sites(base.build())

    made = deduplicate(split)

    assert len(made) == len(split) - 1
    (locsec,) = (t for t in made if t.kind is Kind.LOCSEC)
    assert [made[func].name for func in locsec.words[::3]] == ["one", "two", "one"]
    assert made[locsec.words[0]].type == proto


def test_kernels_refuse_inline_sites_unless_they_know_them() -> None:
    btf = inline_sites(of_int().build())
    old = [v for v in verify(btf, OLDEST) if v.severity is Severity.ERROR]

    assert len(old) == 5
    assert not verify(btf, OLDEST._replace(max_kind=Kind.LOCSEC))


def with_layout(item_bytes: int = 8, *, vlen: int = 2, kind: int = 23, types: bytes = b"") -> bytes:
    """int [1], a type of the unknown kind with two items [2], PTR to int [3]; and a layout."""
    strings = b"\0int\0strange\0"
    types = types or (
        struct.pack("<4I", 1, Kind.INT << 24, 4, 32)
        + struct.pack("<3I", 5, kind << 24 | vlen, 77)
        + bytes(range(item_bytes * vlen))
        + struct.pack("<3I", 0, Kind.PTR << 24, 1)
    )
    layout = bytes(4 * 23) + struct.pack("<BBH", 0, item_bytes, 0)
    places = (0, len(types), len(types) + len(layout), len(strings), len(types), len(layout))
    return struct.pack("<HBB7I", 0xEB9F, 1, 0, 32, *places) + types + layout + strings


def test_a_kind_that_is_not_known_is_skipped_by_the_layout() -> None:
    btf = Btf.parse(with_layout())

    assert "".join(dump_raw(btf)).splitlines()[1:] == [
        "[2] UNKNOWN 'strange' kind=23 vlen=2 size_or_type=77",
        "[3] PTR '(anon)' type_id=1",
    ]
    assert btf[2].kind == 23
    assert len(btf[2].words) == 4
    assert json.loads("".join(dump_json(btf)))["types"][1]["kind_number"] == 23
    assert btf.find("strange") is not None
    assert "strange" not in dump_c(btf)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (with_layout(kind=24), "kind 24 is not known"),
        (with_layout(3, vlen=1, types=struct.pack("<4I", 0, 23 << 24 | 1, 0, 0)), "has 15 bytes"),
        (with_layout(types=struct.pack("<3I", 0, 23 << 24 | 2, 0)), "kind 23 has 28 bytes, 12"),
    ],
)
def test_a_layout_is_not_trusted(data: bytes, why: str) -> None:
    with pytest.raises(BtfError, match=why):
        Btf.parse(data)


def test_what_nobody_knows_is_not_rewritten() -> None:
    base = of_int().build()
    types = struct.pack("<3I", 0, 23 << 24 | 1, 0) + bytes(8)
    split = Btf.parse(with_layout(types=types), base)
    with pytest.raises(BtfError, match="kind 23 is not known"):
        distill(split)
    with pytest.raises(BtfError, match="kind 23 is not known"):
        deduplicate(split)
    with pytest.raises(BtfError, match="does not know kind 23"):
        RawBtf(split)


def test_a_base_may_have_kinds_that_are_not_known() -> None:
    base = Btf.parse(with_layout())
    b = BtfBuilder(base)
    b.add_func("f", b.add_func_proto(1))
    made = distill(b.build())

    assert relocate(made.split, base).to_bytes() == b.to_bytes()
