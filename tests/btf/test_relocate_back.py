# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Relocating: what was distilled comes back, with its strings and all parts of its header."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from btf.relocations import CASES, Case, base_of, in_both_orders, ours, theirs
from kbtf import Btf, BtfBuilder, Kind, RelocationError, distill, relocate, relocate_with_ids

if TYPE_CHECKING:
    from pathlib import Path


# The whole way: what is distilled comes back.


def base_of_17_types(byte_order: str) -> BtfBuilder:
    b = BtfBuilder(byte_order=byte_order)
    integer = b.add_int("int", 4, encoding=1)
    b.add_ref(Kind.PTR, integer)
    inner = b.add_composite(Kind.STRUCT, "inner", 8, [("a", integer, 0)])
    nameless = b.add_composite(Kind.UNION, "", 8, [("inner", inner, 0)])
    b.add_ref(Kind.CONST, inner)
    b.add_ref(Kind.TYPEDEF, nameless, "alias")
    b.add_enum("unused", 4, [("UNUSED", 0)])
    enum = b.add_enum("enum", 4, [("ONE", 1)])
    b.add_enum64("enum64", 8, [("BIG", 1 << 40)])
    b.add_fwd("fwd")
    b.add_float("double", 8)
    proto = b.add_func_proto(integer, [("x", enum)])
    b.add_func("function", proto)
    b.add_ref(Kind.PTR, proto)
    b.add_array(inner, integer, 4)
    b.add_var("variable", integer)
    b.add_composite(Kind.UNION, "unused_too", 4)
    return b


@in_both_orders
def test_what_was_distilled_comes_back_on_a_base_in_another_order(byte_order: str) -> None:
    base = base_of_17_types(byte_order).build()
    assert len(base) == 17
    s = BtfBuilder(base)
    own = s.add_composite(
        Kind.STRUCT, "own", 64, [("alias", 6, 0), ("e", 9, 64), ("inner", 15, 128)]
    )
    s.add_func("fn", s.add_func_proto(11, [("callback", 14), ("enum", own)]))
    distilled = distill(s.build())
    shifted = BtfBuilder(byte_order=byte_order)
    shifted.add_fwd("new")
    for old in base:
        shifted.add_copy(old, {i: i + 1 for i in range(1, base.end_id)})

    result = relocate_with_ids(distilled.split, shifted.build())

    names = [(t.kind, t.name) for t in distilled.base]
    assert names == [(base[i].kind, base[i].name) for i in (1, 3, 8)] + [
        (Kind.ENUM, "enum64"),
        (Kind.FLOAT, "double"),
    ]
    assert [result.new_id(distilled.new_id(i)) for i in (0, 1, 3, 8, 9, 11)] == [0, 2, 4, 9, 10, 12]
    new_own = result.split[result.new_id(distilled.new_id(own))]
    assert (new_own.id, new_own.name, new_own.kind) == (own + 1, "own", Kind.STRUCT)
    assert [m.name for m in new_own.members] == ["alias", "e", "inner"]
    alias, enum64, array = (result.split[m.type] for m in new_own.members)
    assert (alias.kind, alias.name, enum64.id) == (Kind.TYPEDEF, "alias", 10)
    assert array.array is not None
    assert (array.array.type, array.array.index_type, array.array.nelems) == (4, 2, 4)
    assert result.split.base is not None
    assert result.split.to_bytes()[:24] == distilled.split.to_bytes()[:24]


def test_three_types_of_a_real_kernel_come_back(corpus_base: Btf) -> None:
    wanted = [corpus_base.find(*at) for at in (("int", Kind.INT), ("list_head", Kind.STRUCT))]
    ids = [t.id for t in wanted if t]
    s = BtfBuilder(corpus_base)
    own = s.add_composite(
        Kind.STRUCT,
        "own",
        24,
        [("n", ids[0], 0), ("list", ids[1], 64), ("own", s.next_id + 1, 192)],
    )
    s.add_ref(Kind.PTR, own)
    original = s.build()

    back = relocate(distill(original).split, corpus_base)

    assert [t._replace(btf=original, words=()) for t in back] == [
        t._replace(words=()) for t in original
    ]
    assert [m for t in back for m in t.members] == [m for t in original for m in t.members]


@in_both_orders
def test_a_target_may_have_the_other_byte_order(byte_order: str) -> None:
    case = CASES["other kinds, other order"]
    split, target = case.inputs(byte_order)
    other = case.inputs("big" if byte_order == "little" else "little")[1]

    assert relocate(split, other).to_bytes() == relocate(split, target).to_bytes()


# Strings and the parts of a blob


def with_duplicate_string(types: str) -> Btf:
    """A base with the name `foo` in its strings twice, of which `fop` names the second."""
    return Btf.parse(base_of(types).to_bytes().replace(b"\0fop\0", b"\0foo\0"))


DUPLICATE_STRINGS = {
    # Two of a name are counted by the offset of their name.
    "counted apart": ("STRUCT foo 8, STRUCT foo 4", "STRUCT foo 8, STRUCT fop 8"),
    "the last one names": ("STRUCT foo 8, INT foo 4", "STRUCT fop 8, INT foo 4"),
    "two of three": ("STRUCT foo 8", "STRUCT foo 4, STRUCT fop 8, UNION foo 4"),
}
on_duplicate_strings = pytest.mark.parametrize(
    ("distilled", "types"), DUPLICATE_STRINGS.values(), ids=DUPLICATE_STRINGS.keys()
)


@pytest.mark.integration
@on_duplicate_strings
def test_a_target_that_repeats_strings_is_used_as_libbpf_does(
    distilled: str, types: str, libbpf: Path, tmp_path: Path
) -> None:
    split, _ = Case(distilled, "typedef", "", "").inputs("little")
    target = with_duplicate_string(types)
    assert ours(split, target) == theirs(libbpf, tmp_path, split, target)


def test_names_that_the_split_shares_with_its_base_are_those_of_the_target() -> None:
    base = base_of("STRUCT foo 8")
    s = BtfBuilder(base)
    s.add_ref(Kind.TYPEDEF, 1, "foo")
    s.add_composite(Kind.STRUCT, "own", 8, [("foo", 1, 0), ("own", 1, 0)])

    back = relocate(s.build(), base_of("INT something_else 4, STRUCT foo 8"))

    assert [t.name for t in back] == ["foo", "own"]
    assert [m.name for t in back for m in t.members] == ["foo", "own"]
    assert back.index.strings() == b"own\0"


def test_a_string_that_only_the_distilled_base_has_is_refused() -> None:
    b = BtfBuilder()
    b.add_string("unborne")
    b.add_composite(Kind.STRUCT, "foo", 8)
    s = BtfBuilder(b.build())
    s.add_ref(Kind.PTR, 1)
    own = s.add_composite(Kind.STRUCT, "own", 8, [("unborne", 1, 0)])

    with pytest.raises(RelocationError, match="type \\[3\\] 'unborne': STRUCT") as raised:
        relocate(s.build(), base_of("STRUCT foo 8, STRUCT unborne 8"))

    assert (raised.value.reason, raised.value.type_id) == ("string", own)


@pytest.mark.integration
@pytest.mark.parametrize("layout", [b"", b"LAYOUT.."], ids=["empty", "8 bytes"])
def test_a_longer_header_and_what_it_points_to_stay(
    layout: bytes, libbpf: Path, tmp_path: Path
) -> None:
    plain, target = CASES["other kinds, other order"].inputs("little")
    fields = struct.unpack("<HBBIIIII", plain.to_bytes()[:24])
    type_len, str_len = fields[5], fields[7]
    header = struct.pack(
        "<HBB7I",
        0xEB9F,
        1,
        0,
        32,
        0,
        type_len,
        type_len + len(layout),
        str_len,
        type_len,
        len(layout),
    )
    body = plain.to_bytes()[24:]
    split = Btf.parse(header + body[:type_len] + layout + body[type_len:], plain.base)

    back = relocate(split, target).to_bytes()

    assert back[:32] == header
    assert layout in back
    assert back == theirs(libbpf, tmp_path, split, target)
