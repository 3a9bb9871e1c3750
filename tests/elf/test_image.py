# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""ELF files: read as pyelftools reads them, with any number of sections."""

from __future__ import annotations

import io
import struct

import pytest
from elftools.elf.elffile import ELFFile

from elf.images import (
    CONTENTS,
    LITTLE_64,
    PLAIN,
    ROW,
    SHN_XINDEX,
    SHT_STRTAB,
    SHT_SYMTAB_SHNDX,
    SYMBOLS,
    Row,
    Shape,
    check_places,
    every_layout,
    patched,
    table_first,
    their_contents,
    their_section,
    their_sections,
    their_symbols,
)
from kbtf.elf.format import SHT_SYMTAB
from kbtf.elf.image import ElfImage
from kbtf.errors import ElfError
from kbtf.testing import write_elf


@every_layout
def test_sections_are_read_as_pyelftools_reads_them(bits: int, byte_order: str) -> None:
    data = write_elf(CONTENTS, SYMBOLS, bits=bits, byte_order=byte_order)
    image = ElfImage(data)

    assert (image.bits, image.byte_order) == (bits, byte_order)
    assert image.sections == their_sections(data)
    for section in image.sections:
        assert bytes(image.contents(section)) == their_contents(data)[section.name]


@every_layout
def test_symbols_are_read_as_pyelftools_reads_them(bits: int, byte_order: str) -> None:
    data = write_elf(CONTENTS, SYMBOLS, bits=bits, byte_order=byte_order)

    symbols = list(ElfImage(data).symbols())

    assert symbols == their_symbols(data)
    assert [(s.name, s.value, s.size, s.shndx) for s in symbols[1:]] == [
        ("start", 1, 20, 1),
        ("__BTF_ID__set8__s", 4, 8, 4),
        ("printk", 0, 0, 0),
    ]


def test_a_section_is_found_by_name() -> None:
    image = ElfImage(write_elf(CONTENTS))

    assert image.section(".data") == image.sections[2]
    assert image.data(".data") == b"data"
    assert image.data(".empty") == b""
    assert image.section(".dat") is None
    assert image.data(".absent") is None


def test_data_may_be_a_view_of_a_larger_file() -> None:
    data = write_elf(CONTENTS)

    assert ElfImage(memoryview(b"before" + data)[6:]).data(".data") == b"data"


@every_layout
def test_a_table_before_the_contents_is_read_and_edited(bits: int, byte_order: str) -> None:
    rows = [Row(name.encode(), data=data) for name, data in CONTENTS.items()]
    data = table_first(rows, Shape(bits, byte_order))
    image = ElfImage(data)
    assert image.sections == their_sections(data)

    image.set_section(".BTF", b"new")

    edited = image.to_bytes()
    check_places(edited)
    contents = their_contents(edited)
    del contents[".shstrtab"]
    assert contents == {"": b"", **CONTENTS, ".BTF": b"new"}


# 0xff00 sections and more: gABI, "e_shnum", "e_shstrndx" and "Special Section Indexes"


def many_sections(count: int, shape: Shape = LITTLE_64) -> bytes:
    """*count* sections; the first ones are ``.symtab`` with a symbol into the last but one."""
    last = count - 2
    symbols = shape.symbol(0, 0, 0, 0, 0)
    symbols += shape.symbol(0, 7, 2, 0x10, SHN_XINDEX) + shape.symbol(0, 3, 1, 0x10, 2)
    rows = [
        Row(b".symtab", SHT_SYMTAB, symbols, link=3, info=1, entsize=len(symbols) // 3),
        Row(b".symtab_shndx", SHT_SYMTAB_SHNDX, shape.pack("III", 0, last, 0), link=1, entsize=4),
        Row(b".strtab", SHT_STRTAB, b"\0"),
    ]
    rows += [Row(b".many")] * (count - 2 - len(rows) - 1)
    return table_first([*rows, Row(b".last", data=b"last")], shape)


@pytest.mark.parametrize(("bits", "byte_order"), [(32, "big"), (64, "little")])
def test_extended_numbering_is_read_as_pyelftools_reads_it(bits: int, byte_order: str) -> None:
    count = 0xFF00 + 300
    data = many_sections(count, Shape(bits, byte_order))
    image = ElfImage(data)
    elf = ELFFile(io.BytesIO(data))

    assert len(image.sections) == elf.num_sections() == count
    for number in (0, 1, 0xFEFF, 0xFF00, 0xFFFF, count - 2, count - 1):
        assert image.sections[number] == their_section(elf, number)
    assert list(image.symbols()) == their_symbols(data)
    assert [image.sections[s.shndx].name for s in image.symbols()] == ["", ".last", ".symtab_shndx"]


@pytest.mark.parametrize("count", [0xFEFE, 0xFEFF, 0xFF00])
def test_a_section_is_added_around_the_limit_of_plain_numbering(count: int) -> None:
    data = many_sections(count)
    image = ElfImage(data)
    image.set_section(".BTF", b"new")

    edited = image.to_bytes()

    elf = ELFFile(io.BytesIO(edited))
    assert elf.num_sections() == count + 1
    (e_shnum,) = struct.unpack_from("<H", edited, 60)
    assert e_shnum == (count + 1 if count + 1 < 0xFF00 else 0)
    assert elf.get_section(count).name == ".BTF"
    assert elf.get_section(count).data() == b"new"
    again = ElfImage(edited)
    assert [s.name for s in again.sections] == [*(s.name for s in image.sections), ".BTF"]
    assert list(again.symbols()) == list(image.symbols())


def test_extended_indexes_are_those_of_the_symbol_table() -> None:
    shape = LITTLE_64
    symbols = shape.symbol(0, 0, 0, 0, 0) + shape.symbol(0, 0, 0, 0, SHN_XINDEX)
    rows = [
        Row(b".others_shndx", SHT_SYMTAB_SHNDX, shape.pack("II", 0, 4), link=4, entsize=4),
        Row(b".symtab", SHT_SYMTAB, symbols, link=4, entsize=24),
        Row(b".symtab_shndx", SHT_SYMTAB_SHNDX, shape.pack("II", 0, 2), link=2, entsize=4),
        Row(b".strtab", SHT_STRTAB, b"\0"),
    ]

    assert [s.shndx for s in ElfImage(table_first(rows)).symbols()] == [0, 2]


def test_a_number_in_the_elf_header_counts_more_than_the_extended_one() -> None:
    data = patched(PLAIN, ROW + 32, "<Q", 2)

    assert ElfImage(data).sections == their_sections(data)
    assert len(ElfImage(data).sections) == 4


def test_a_symbol_of_extended_index_without_its_table_is_refused() -> None:
    symbol = LITTLE_64.symbol(0, 0, 0, 0, SHN_XINDEX)
    data = table_first([Row(b".symtab", SHT_SYMTAB, symbol, link=2, entsize=24)])

    with pytest.raises(ElfError, match=r"\.symtab: symbol 0 has no section index"):
        list(ElfImage(data).symbols())


def test_a_table_of_extended_indexes_that_is_too_short_is_refused() -> None:
    shape = LITTLE_64
    symbols = shape.symbol(0, 0, 0, 0, 0) + shape.symbol(0, 0, 0, 0, SHN_XINDEX)
    rows = [
        Row(b".symtab", SHT_SYMTAB, symbols, link=3, entsize=24),
        Row(b".symtab_shndx", SHT_SYMTAB_SHNDX, bytes(7), link=1, entsize=4),
        Row(b".strtab", SHT_STRTAB, b"\0"),
    ]

    with pytest.raises(ElfError, match=r"\.symtab: symbol 1 has no section index"):
        list(ElfImage(table_first(rows)).symbols())
