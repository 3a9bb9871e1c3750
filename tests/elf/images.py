# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""ELF files in every layout, and what pyelftools reads of them."""

from __future__ import annotations

import io
import itertools
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_SH_TYPE_BASE, ENUM_ST_SHNDX

from kbtf.elf.format import SHT_NOBITS, SHT_PROGBITS, Symbol
from kbtf.testing import ElfSymbol

if TYPE_CHECKING:
    from collections.abc import Sequence

LAYOUTS = list(itertools.product((32, 64), ("little", "big")))
every_layout = pytest.mark.parametrize(("bits", "byte_order"), LAYOUTS)

SHT_NULL, SHT_STRTAB, SHT_SYMTAB_SHNDX = 0, 3, 18
SHN_XINDEX = 0xFFFF
CONTENTS = {".text": b"\x90" * 21, ".data": b"data", ".empty": b"", ".BTF_ids": bytes(range(12))}
SYMBOLS = (
    ElfSymbol("start", ".text", 1, 20),
    ElfSymbol("__BTF_ID__set8__s", ".BTF_ids", 4, 8),
    ElfSymbol("printk", None),
)


# What pyelftools reads


def their_sections(data: bytes) -> list[tuple[Any, ...]]:
    elf = ELFFile(io.BytesIO(data))
    return [their_section(elf, number) for number in range(elf.num_sections())]


def their_section(elf: Any, number: int) -> tuple[Any, ...]:
    section = elf.get_section(number)
    kind = section["sh_type"]
    fields = ("flags", "addr", "offset", "size", "link", "info", "addralign", "entsize")
    return (
        number,
        section.name,
        ENUM_SH_TYPE_BASE.get(kind, kind),
        *(section[f"sh_{field}"] for field in fields),
    )


def their_symbols(data: bytes) -> list[Symbol]:
    elf = ELFFile(io.BytesIO(data))
    table: Any = first_of(elf, "SHT_SYMTAB")
    found = []
    for number in range(table.num_symbols()):
        symbol = table.get_symbol(number)
        shndx = ENUM_ST_SHNDX.get(symbol["st_shndx"], symbol["st_shndx"])
        if shndx == SHN_XINDEX:
            shndx = first_of(elf, "SHT_SYMTAB_SHNDX").get_section_index(number)
        # pyelftools splits the byte st_info and gives its halves names
        table.stream.seek(table["sh_offset"] + number * table["sh_entsize"])
        info = table.stream.read(table["sh_entsize"])[4 if elf.elfclass == 64 else 12]
        found.append(Symbol(symbol.name, symbol["st_value"], symbol["st_size"], info, shndx))
    return found


def first_of(elf: Any, kind: str) -> Any:
    return next(section for section in elf.iter_sections() if section["sh_type"] == kind)


def their_contents(data: bytes) -> dict[str, bytes]:
    sections = ELFFile(io.BytesIO(data)).iter_sections()
    return {section.name: section.data() for section in sections}


# What the writer of kbtf.testing does not make


class Row(NamedTuple):
    """A section header and the contents that belong to it."""

    name: bytes
    type: int = SHT_PROGBITS
    data: bytes = b""
    flags: int = 0
    link: int = 0
    info: int = 0
    entsize: int = 0
    offset: int | None = None
    size: int | None = None


class Shape(NamedTuple):
    """The formats of gABI chapter 4, of one class and byte order."""

    bits: int
    byte_order: str

    def pack(self, formats: str, *values: int) -> bytes:
        order = ">" if self.byte_order == "big" else "<"
        word = "Q" if self.bits == 64 else "I"
        return struct.pack(order + formats.replace("W", word), *values)

    @property
    def row_size(self) -> int:
        return len(self.row([0] * 10))

    def row(self, fields: Sequence[int]) -> bytes:
        return self.pack("IIWWWWIIWW", *fields)

    def symbol(self, name: int, value: int, size: int, info: int, shndx: int) -> bytes:
        if self.bits == 64:
            return self.pack("IBBHQQ", name, info, 0, shndx, value, size)
        return self.pack("IIIBBH", name, value, size, info, 0, shndx)


LITTLE_64 = Shape(64, "little")


def table_first(
    rows: Sequence[Row],
    shape: Shape = LITTLE_64,
    *,
    shstrndx: int | None = None,
) -> bytes:
    """An ELF file with its section header table before the contents.

    The names come last, in section ``.shstrtab``; a first one of type NULL is added.  Numbers of
    0xff00 and more are written as gABI has it: in the first section header.
    """
    names = b"\0"
    name_offsets: dict[bytes, int] = {}
    for row in (*rows, Row(b".shstrtab")):
        if row.name not in name_offsets:
            name_offsets[row.name] = len(names)
            names += row.name + b"\0"
    rows = [*rows, Row(b".shstrtab", SHT_STRTAB, names)]
    count = len(rows) + 1
    shstrndx = count - 1 if shstrndx is None else shstrndx
    header_size = 52 if shape.bits == 32 else 64
    many, far = count >= 0xFF00, shstrndx >= 0xFF00
    first = [0, 0, 0, 0, 0, count if many else 0, shstrndx if far else 0, 0, 0, 0]
    table, contents = [shape.row(first)], []
    at = header_size + count * shape.row_size
    for row in rows:
        offset = at if row.offset is None else row.offset
        size = len(row.data) if row.size is None else row.size
        fields = (row.type, row.flags, 0, offset, size, row.link, row.info, 1, row.entsize)
        table.append(shape.row((name_offsets[row.name], *fields)))
        contents.append(row.data)
        at += len(row.data)
    ident = b"\x7fELF" + bytes([shape.bits // 32, 1 + (shape.byte_order == "big"), 1]) + bytes(9)
    header = shape.pack(
        "HHIWWWIHHHHHH", 1, 62, 1, 0, 0, header_size, 0, header_size, 0, 0, shape.row_size,
        0 if many else count, SHN_XINDEX if far else shstrndx,
    )  # fmt: skip
    return ident + header + b"".join((*table, *contents))


def check_places(data: bytes) -> None:
    """No two sections share bytes, and each is aligned."""
    end = 0
    rows = [row for row in their_sections(data) if row[2] not in (SHT_NULL, SHT_NOBITS) and row[6]]
    for row in sorted(rows, key=lambda row: row[5]):
        assert row[5] >= end
        assert row[5] % max(row[9], 1) == 0
        end = row[5] + row[6]


def patched(data: bytes, offset: int, formats: str, value: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(formats, out, offset, value)
    return bytes(out)


PLAIN = table_first([Row(b".text", data=b"text"), Row(b".data", data=b"data")])
ROW = 64  # where the section header table of PLAIN begins, and what each row of it takes
