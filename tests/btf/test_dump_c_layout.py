# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""C: structs and enums have the layout that BTF gives them."""

from __future__ import annotations

import re

import pytest

from btf.c_types import body, c_builder
from kbtf import BtfBuilder, BtfError, Kind
from kbtf.btf.dump.c.header import dump_c


def layout(size: int, *members: tuple[str, int, int] | tuple[str, int, int, int]) -> list[str]:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "s", size, members)
    return [line.strip() for line in body(b.build()).splitlines()[1:]]


def test_padding_that_compilers_add_is_not_written() -> None:
    assert layout(16, ("a", 2, 0), ("b", 1, 32), ("c", 3, 64)) == [
        "char a;", "int b;", "long int c;", "};"
    ]  # fmt: skip


def test_other_padding_is_written_in_units_of_the_alignment_at_most() -> None:
    assert layout(16, ("a", 1, 0), ("b", 1, 96)) == [
        "int a;", "int : 32;", "int : 32;", "int b;", "};"
    ]  # fmt: skip
    assert layout(16, ("a", 3, 0), ("b", 2, 72)) == ["long int a;", "char : 8;", "char b;", "};"]


def test_much_padding_is_an_array() -> None:
    assert layout(128, ("a", 3, 0), ("b", 3, 512)) == [
        "long int a;", "unsigned char __gap_1[56];",
        "long int b;", "unsigned char __gap_2[56];", "};",
    ]  # fmt: skip


def test_members_off_their_alignment_mean_packed() -> None:
    packed = "} __attribute__((packed));"
    assert layout(5, ("a", 2, 0), ("b", 1, 8)) == ["char a;", "int b;", packed]
    assert layout(5, ("b", 1, 0), ("a", 2, 32)) == ["int b;", "char a;", packed]
    assert layout(8, ("a", 1, 0, 30), ("b", 1, 30, 4)) == [
        "int a : 30;", "int b : 4;",
        "char : 6;", "char : 8;", "char : 8;", "char : 8;", packed,
    ]  # fmt: skip


def test_bitfields_keep_their_place() -> None:
    assert layout(8, ("a", 1, 0, 3), ("b", 1, 5, 2), ("c", 1, 32, 1)) == [
        "int a : 3;", "char : 2;", "int b : 2;",
        "char : 1;", "char : 8;", "short : 16;", "int c : 1;", "};",
    ]  # fmt: skip


def test_a_union_of_another_size_than_its_members() -> None:
    b = c_builder()
    b.add_composite(Kind.UNION, "large", 64, [("a", 3, 0)])
    b.add_array(2, 1, 5)
    b.add_composite(Kind.UNION, "packed", 5, [("a", 1, 0), ("b", 5, 0)])

    text = body(b.build())

    assert "\tlong int a;\n\tunsigned char __gap_1[64];\n}" in text
    assert "\tint a;\n\tchar b[5];\n} __attribute__((packed));" in text


def test_a_struct_without_members_has_its_size() -> None:
    b = BtfBuilder()
    b.add_composite(Kind.STRUCT, "device", 760)

    assert body(b.build()) == "struct device {\n\tunsigned char __gap_1[760];\n};"


def test_a_named_struct_as_a_member_without_a_name_is_written_out() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "part", 4, [("a", 1, 0)])
    b.add_composite(Kind.STRUCT, "whole", 8, [("", 4, 0), ("b", 1, 32)])

    assert body(b.build()).endswith("struct whole {\n\tstruct {\n\t\tint a;\n\t};\n\tint b;\n};")


def test_pointers_are_as_large_as_a_long() -> None:
    b = BtfBuilder()
    b.add_int("long int", 4, encoding=1)
    b.add_ref(Kind.PTR, 0)
    b.add_composite(Kind.STRUCT, "s", 8, [("p", 2, 0), ("q", 2, 32)])

    assert body(b.build()) == "struct s {\n\tvoid *p;\n\tvoid *q;\n};"


def refused(b: BtfBuilder) -> str:
    with pytest.raises(BtfError) as caught:
        dump_c(b.build())
    return str(caught.value)


def test_members_come_in_the_order_of_their_offsets() -> None:
    assert layout(16, ("c", 3, 64), ("b", 1, 32), ("a", 2, 0)) == [
        "char a;", "int b;", "long int c;", "};"
    ]  # fmt: skip


def test_what_takes_no_space_comes_first() -> None:
    b = c_builder()
    b.add_array(1, 1, 0)
    b.add_composite(Kind.STRUCT, "s", 4, [("a", 1, 0), ("none", 4, 0)])

    assert body(b.build()) == "struct s {\n\tint none[0];\n\tint a;\n};"


def test_members_that_c_cannot_place_are_named() -> None:
    faults: dict[str, list[tuple[str, int, int] | tuple[str, int, int, int]]] = {
        "members 'a' and 'b' overlap": [("a", 3, 0), ("b", 1, 32)],
        "member 'b' ends at bit 96, past the 8 bytes": [("a", 1, 0), ("b", 3, 32)],
        "member 'a' starts inside of a byte": [("a", 1, 4), ("b", 2, 40, 3)],
        "member 'a' is a bitfield of 9 bits in a INT 'char' of 1 bytes": [("a", 2, 0, 9)],
        "member 'a' is of a type without a size": [("a", 0, 0)],
    }
    for text, members in faults.items():
        b = c_builder()
        b.add_composite(Kind.STRUCT, "s", 8, members)
        assert text in refused(b)
    b = c_builder()
    b.add_composite(Kind.UNION, "u", 8, [("a", 1, 32)])
    assert "member 'a' of a union is at bit 32" in refused(b)


def test_members_whose_names_become_one_stay_apart() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "", 4, [("a+b", 1, 0)])
    members = [("a-b", 1, 0), ("", 4, 32), ("_a_b", 1, 64), ("c", 1, 96), ("c", 1, 128)]
    b.add_composite(Kind.STRUCT, "s", 20, members)

    assert re.findall(r"int (\w+);", body(b.build())) == [
        "_a_b___2", "_a_b___3", "_a_b", "c", "c___2"
    ]  # fmt: skip


def test_an_enum_whose_values_do_not_fit_its_size_is_refused() -> None:
    for size, values in ((1, [("A", 256)]), (2, [("A", 40000), ("B", -1)]), (3, [("A", 1)])):
        b = c_builder()
        b.add_enum("e", size, values, signed=size == 2)
        assert f"its values do not fit into {size} bytes" in refused(b)


def test_eight_bytes_are_aligned_differently_by_32_bit_machines() -> None:
    b = BtfBuilder()
    b.add_int("long int", 4, encoding=1)
    b.add_int("long long int", 8, encoding=1)
    b.add_composite(Kind.STRUCT, "i386", 12, [("a", 1, 0), ("b", 2, 32)])
    b.add_composite(Kind.STRUCT, "arm", 16, [("a", 1, 0), ("b", 2, 64)])
    b.add_composite(Kind.STRUCT, "tight", 9, [("b", 2, 8)])

    assert body(b.build()) == (
        "struct i386 {\n\tlong int a;\n\tlong long int b;\n} "
        "__attribute__((packed, aligned(4)));\n\n"
        "struct arm {\n\tlong int a;\n\tint : 32;\n\tlong long int b;\n};\n\n"
        "struct tight {\n\tchar : 8;\n\tlong long int b;\n} __attribute__((packed));"
    )


def test_an_int_of_fewer_bits_is_a_bitfield_where_members_have_no_widths() -> None:
    b = c_builder()
    three = b.add(Kind.INT, "int", size_or_type=4, words=[1 << 24 | 4 << 16 | 3])
    b.add_composite(Kind.STRUCT, "s", 4, [("a", three, 0)])

    assert "\tchar : 4;\n\tint a : 3;\n" in body(b.build())


def test_a_bool_of_another_size_is_not_called_so() -> None:
    b = c_builder()
    b.add_ref(Kind.TYPEDEF, 1, "bool")

    assert body(b.build()) == "typedef int _bool;"


def test_a_header_without_structs_gives_clang_nothing_to_warn_of() -> None:
    assert "#pragma" not in dump_c(c_builder().build())
