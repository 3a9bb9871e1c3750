# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Parsing BTF: what is there is found, and what reaches out of the blob is refused."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from kbtf import Btf, BtfBuilder, BtfError, Kind

if TYPE_CHECKING:
    from pathlib import Path


def every_kind(byte_order: str = "little") -> BtfBuilder:
    b = BtfBuilder(byte_order=byte_order)
    integer = b.add_int("int", 4, encoding=1)
    b.add_ref(Kind.PTR, integer)
    b.add_array(integer, integer, 7)
    b.add_composite(Kind.STRUCT, "s", 8, [("a", integer, 0), ("b", integer, 32)])
    b.add_composite(Kind.UNION, "u", 4, [("x", integer, 0)])
    b.add_enum("e", 4, [("NEG", -1), ("POS", 1)], signed=True)
    b.add_fwd("f", union=True)
    b.add_ref(Kind.TYPEDEF, integer, "t")
    for kind in (Kind.VOLATILE, Kind.CONST, Kind.RESTRICT):
        b.add_ref(kind, integer)
    proto = b.add_func_proto(integer, [("arg", integer), ("", 0)])
    b.add_func("fn", proto)
    var = b.add_var("v", integer)
    b.add_datasec(".data", 4, [(var, 0, 4)])
    b.add_float("double", 8)
    b.add_decl_tag("tag", proto + 1, 0)
    b.add_ref(Kind.TYPE_TAG, integer, "user")
    b.add_enum64("big", 8, [("HUGE", 1 << 40), ("MINUS", -2)], signed=True)
    b.add_composite(Kind.STRUCT, "bits", 4, [("lo", integer, 0, 3), ("hi", integer, 3, 29)])
    return b


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_every_kind_is_read_as_it_was_added(byte_order: str) -> None:
    btf = every_kind(byte_order).build()

    assert btf.byte_order == byte_order
    assert len(btf) == 20
    assert [t.kind for t in btf][:6] == [
        Kind.INT,
        Kind.PTR,
        Kind.ARRAY,
        Kind.STRUCT,
        Kind.UNION,
        Kind.ENUM,
    ]
    assert btf[1].int_encoding is not None
    assert btf[1].int_encoding.signed
    assert btf[1].int_encoding.bits == 32
    assert btf[2].type == 1
    assert btf[3].array == (1, 1, 7)
    assert btf[4].members == (("a", 1, 0, 0), ("b", 1, 32, 0))
    assert btf[4].size == 8
    assert btf[6].enumerators == (("NEG", -1), ("POS", 1))
    assert btf[7].kind_flag
    assert btf[12].params == (("arg", 1), ("", 0))
    assert btf[13].linkage == 1
    assert btf[14].linkage == 1
    assert btf[15].entries == ((14, 0, 4),)
    assert btf[16].size == 8
    assert btf[17].component_idx == 0
    assert btf[19].enumerators == (("HUGE", 1 << 40), ("MINUS", -2))
    assert btf[20].members == (("lo", 1, 0, 3), ("hi", 1, 3, 29))


def test_a_blob_is_written_back_as_it_was_read() -> None:
    data = every_kind("big").to_bytes()

    assert Btf.parse(data).to_bytes() == data


def test_btf_does_not_change_with_the_buffer_that_it_was_parsed_from() -> None:
    builder = BtfBuilder()
    builder.add_int("int", 4)
    blob = builder.build().to_bytes()
    buffer = bytearray(blob)
    btf = Btf.parse(buffer)

    buffer[24:] = bytes(len(blob) - 24)
    assert btf.to_bytes() == blob
    buffer.clear()
    assert btf.to_bytes() == blob
    assert [type_.name for type_ in btf] == ["int"]


def test_a_copy_of_every_type_is_the_same_blob() -> None:
    source = every_kind().build()
    copy = BtfBuilder(byte_order="little")
    for btf_type in source:
        copy.add_copy(btf_type)

    assert copy.to_bytes() == source.to_bytes()


def test_types_are_found_by_name_and_kind_lowest_id_first() -> None:
    b = BtfBuilder()
    b.add_int("same", 4)
    b.add_composite(Kind.STRUCT, "same", 8)
    b.add_composite(Kind.STRUCT, "same", 16)
    btf = b.build()

    found = btf.find("same", Kind.STRUCT)
    assert found is not None
    assert found.id == 2
    assert [t.id for t in btf.find_all("same")] == [1, 2, 3]
    assert btf.find("other") is None
    assert btf.find("sam") is None
    assert btf.find("") is None


def test_split_btf_continues_ids_and_strings_of_its_base() -> None:
    base = every_kind().build()
    b = BtfBuilder(base)
    own = b.add_composite(Kind.STRUCT, "own", 8, [("a", 1, 0)])
    split = b.build()

    assert own == base.end_id == split.start_id
    assert len(split) == 1
    assert split[own].members[0].name == "a"
    assert b"a\0" not in split.index.strings()
    assert split[1].name == "int"
    assert split.find("int") == split[1]
    assert [t.id for t in split] == [own]


def test_void_has_id_zero_and_the_first_missing_id_is_an_index_error() -> None:
    btf = every_kind().build()

    assert btf[0].name == "void"
    for bad in (-1, btf.end_id, 1 << 40):
        with pytest.raises((IndexError, OverflowError)):
            btf[bad]


def test_a_header_with_layout_is_read_and_kept() -> None:
    plain = every_kind().to_bytes()
    _, _, _, _, _, type_len, str_off, str_len = struct.unpack_from("<HBBIIIII", plain)
    layout = bytes([4, 0, 0, 0]) * 20
    header = struct.pack(
        "<HBBIIIIIII", 0xEB9F, 1, 0, 32, 0, type_len, str_off + len(layout), str_len,
        type_len, len(layout),
    )  # fmt: skip
    types, strings = plain[24 : 24 + type_len], plain[24 + type_len :]
    data = header + types + layout + strings

    btf = Btf.parse(data)

    assert btf.header_len == 32
    assert btf.index.layout_len == len(layout)
    assert len(btf) == 20
    assert btf.to_bytes() == data


def test_vlen_of_more_than_16_bits_is_read_as_the_new_encoding() -> None:
    b = BtfBuilder()
    values = [(f"V{n}", n) for n in range(70_000)]
    b.add_enum("many", 4, values)

    assert b.build()[1].enumerators == tuple(values)


def blob(types: bytes, strings: bytes = b"\0int\0") -> bytes:
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


INT = words(1, 1 << 24, 4, 32)
MALFORMED = {
    "nothing": (b"", "too few for a BTF header"),
    "no magic": (b"ELF!" + blob(INT)[4:], "no BTF magic"),
    "unknown version": (blob(INT)[:2] + b"\2" + blob(INT)[3:], "version 2"),
    "unknown flags": (blob(INT)[:3] + b"\1" + blob(INT)[4:], "flags 0x1"),
    "header longer than the blob": (blob(INT)[:4] + words(999) + blob(INT)[8:], "header length"),
    "header too short": (blob(INT)[:4] + words(16) + blob(INT)[8:], "header length"),
    "types past the end": (blob(INT)[:12] + words(1 << 31) + blob(INT)[16:], "past the end"),
    "strings past the end": (blob(INT)[:20] + words(999) + blob(INT)[24:], "past the end"),
    "strings inside types": (
        blob(INT)[:16] + words(4) + blob(INT)[20:],
        "types and strings overlap",
    ),
    "no strings": (blob(INT, b""), "no strings"),
    "strings without end": (blob(INT, b"\0int"), "has no end"),
    "first string not empty": (blob(INT, b"int\0"), "not empty"),
    "half a type": (blob(words(1, 1 << 24)), "too few for a type"),
    "types not aligned": (blob(INT + b"\0\0"), "not aligned"),
    "kind 0": (blob(words(1, 0, 4)), "kind 0 is not known"),
    "kind 23": (blob(words(1, 23 << 24, 4)), "kind 23 is not known"),
    "int without its word": (blob(words(1, 1 << 24, 4)), "needs 16 bytes"),
    "vlen past the end": (blob(words(1, 4 << 24 | 9, 4)), "vlen 9"),
    "largest vlen": (blob(words(1, 4 << 24 | 0xFFFFFF, 4)), "vlen 16777215"),
    "name past the end": (blob(words(99, 1 << 24, 4, 32)), "name offset 99"),
    "member name past the end": (blob(words(1, 4 << 24 | 1, 4, 99, 0, 0)), "name offset 99"),
    "type id past the end": (blob(INT + words(0, 2 << 24, 9)), "type id 9"),
    "member type past the end": (blob(words(1, 4 << 24 | 1, 4, 0, 9, 0)), "type id 9"),
    "array index type past the end": (blob(INT + words(0, 3 << 24, 0, 1, 9, 1)), "type id 9"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_btf_is_refused_in_words(case: str) -> None:
    data, words_of_it = MALFORMED[case]
    with pytest.raises(BtfError) as caught:
        Btf.parse(data)
    assert words_of_it in str(caught.value)


def test_an_error_names_the_type_and_its_offset() -> None:
    with pytest.raises(BtfError, match=r"^type \[2\]: PTR at offset 0x10: type id 9"):
        Btf.parse(blob(INT + words(0, 2 << 24, 9)))


def test_a_blob_truncated_anywhere_is_refused() -> None:
    data = every_kind().to_bytes()
    for length in range(len(data)):
        with pytest.raises(BtfError):
            Btf.parse(data[:length])


def test_split_btf_without_its_base_is_refused(corpus: Path) -> None:
    for path in sorted((corpus / "split").glob("*.btf")):
        with pytest.raises(BtfError):
            Btf.parse(path.read_bytes())


def test_builder_refuses_what_32_bits_cannot_hold() -> None:
    with pytest.raises(BtfError):
        BtfBuilder().add_int("int", 1 << 32)
    with pytest.raises(BtfError):
        BtfBuilder().add(Kind.STRUCT, vlen=1 << 24)
    with pytest.raises(BtfError):
        BtfBuilder().add_string("a\0b")
