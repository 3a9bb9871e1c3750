# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""DWARF and ELF symbols byte by byte, as no compiler writes them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

SYMTAB, STRTAB, RELA, NOTE = 2, 3, 4, 7  # sh_type
ALLOC, COMPRESSED = 2, 0x800  # sh_flags
FUNC, OBJECT = 2, 1  # st_info

COMPILE_UNIT, SKELETON_UNIT, SUBPROGRAM, PARAMETER, VARIABLE = 0x11, 0x4A, 0x2E, 0x05, 0x34
BASE, CONST, POINTER, TYPEDEF, STRUCT, MEMBER = 0x24, 0x26, 0x0F, 0x16, 0x13, 0x0D
ARRAY, SUBRANGE, PROTO, ENUM, ENUMERATOR, BLOCK = 0x01, 0x21, 0x15, 0x04, 0x28, 0x0B
ATOMIC, ANNOTATION = 0x47, 0x6001

NAME, SIZE, TYPE, ENCODING, COUNT, LOCATION = 0x03, 0x0B, 0x49, 0x3E, 0x37, 0x02
PRODUCER, EXTERNAL, ORIGIN, SPECIFICATION, BITS = 0x25, 0x3F, 0x31, 0x47, 0x0D
CONST_VALUE, DWO_NAME, GNU_ANNOTATION = 0x1C, 0x76, 0x2139

ADDR, BLOCK4, DATA1, DATA4, STRING, STRP, UDATA = 0x01, 0x04, 0x0B, 0x06, 0x08, 0x0E, 0x0F
REF_ADDR, REF4, REF_UDATA, INDIRECT = 0x10, 0x13, 0x15, 0x16
SEC_OFFSET, EXPRLOC, FLAG_PRESENT, LINE_STRP = 0x17, 0x18, 0x19, 0x1F


class Section(NamedTuple):
    """A section; those with the same object as data share its bytes in the file."""

    name: str
    data: bytes
    kind: int = 1
    flags: int = 0
    info: int = 0


def uleb(number: int) -> bytes:
    """A number as DWARF packs it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def abbreviation(code: int, tag: int, *attributes: int, children: bool = False) -> bytes:
    """One of .debug_abbrev; *attributes* and forms in turn."""
    head = uleb(code) + uleb(tag) + bytes([children])
    return head + b"".join(map(uleb, attributes)) + b"\0\0"


def unit(dies: bytes, abbreviations: int = 0, *, kind: int = 1, start: bytes = b"\1") -> bytes:
    """A unit of DWARF 5, whose own DIE is *start*."""
    head = struct.pack("<HBBI", 5, kind, 8, abbreviations) + (bytes(8) if kind == 4 else b"")
    body = head + start + dies
    return struct.pack("<I", len(body)) + body


FIRST = 13
"""The offset in the first unit behind its own DIE of one byte."""
ROOT = abbreviation(1, COMPILE_UNIT, children=True)
INT = abbreviation(2, BASE, NAME, STRING, SIZE, DATA1, ENCODING, DATA1)
INT_DIE = b"\2int\0\4\5"
AFTER_INT = FIRST + len(INT_DIE)


def dwarf(abbreviations: bytes, info: bytes, **more: bytes) -> list[Section]:
    """Sections by name: `str` is .debug_str."""
    parts = {"abbrev": abbreviations + b"\0", "info": info, **more}
    return [Section(f".debug_{name}", data) for name, data in parts.items()]


def symbols(rows: Iterable[tuple[int, int, int]], strings: bytes, home: int = 1) -> list[Section]:
    """.symtab and .strtab from names, types and values of what is in section *home*."""
    table = bytes(24) + b"".join(struct.pack("<IBBHQQ", n, t, 0, home, v, 8) for n, t, v in rows)
    return [Section(".symtab", table, SYMTAB, 0, 1), Section(".strtab", strings, STRTAB)]


def compressed_section(name: str, packed: bytes, size: int, *, kind: int = 1) -> Section:
    """A section of *size* bytes, compressed with zlib or as *kind* says."""
    return Section(name, struct.pack("<IIQQ", kind, 0, size, 1) + packed, 1, COMPRESSED)


ONE_FUNCTION = symbols([(1, FUNC, 0)], b"\0f\0")


HEAD = (
    Section("", b"", 0),
    Section(".text", bytes(16), 1, ALLOC | 4),
    Section(".modinfo", b"name=m\0vermagic=6.12.0-test SMP\0license=GPL\0", 1, ALLOC),
)


def module(sections: list[Section]) -> bytes:
    """A relocatable ELF file for x86-64 with `HEAD` and these sections."""
    sections = [*HEAD, *sections]
    if not any(section.kind == SYMTAB for section in sections):
        sections += symbols((), b"\0")
    names = b"\0".join(section.name.encode() for section in sections) + b"\0.shstrtab\0"
    sections.append(Section(".shstrtab", names, STRTAB))
    out, table = bytearray(64), bytearray()
    places: dict[int, int] = {}
    name_at = 0
    table_at = next(n for n, section in enumerate(sections) if section.kind == SYMTAB)
    for name, data, kind, flags, info_ in sections:
        if id(data) not in places:
            out += bytes(-len(out) % 8)
            places[id(data)] = len(out)
            out += data
        entry = {SYMTAB: 24, RELA: 24}.get(kind, 0)
        link = {SYMTAB: table_at + 1, RELA: table_at}.get(kind, 0)
        row = (name_at, kind, flags, 0, places[id(data)], len(data), link, info_, 1, entry)
        table += struct.pack("<IIQQQQIIQQ", *row)
        name_at += len(name.encode()) + 1
    out += bytes(-len(out) % 8)
    ident = b"\x7fELF\2\1\1" + bytes(9)
    fields = (1, 62, 1, 0, 0, len(out), 0, 64, 0, 0, 64, len(sections), len(sections) - 1)
    out[:64] = ident + struct.pack("<HHIQQQIHHHHHH", *fields)
    return bytes(out + table)


def linked(sections: list[Section]) -> bytes:
    """The same as an executable, like a kernel."""
    data = bytearray(module(sections))
    data[16:18] = struct.pack("<H", 2)
    return bytes(data)


def repeated(tag: int, count: int = 900_000) -> list[Section]:
    """DIEs of one byte, all directly in the unit."""
    return dwarf(ROOT + abbreviation(3, tag), unit(b"\3" * count))


def children(
    parent: int, tag: int, *attributes: int, die: bytes = b"\3", total: int = 900_000
) -> list[Section]:
    """One DIE with *total* bytes of children."""
    table = ROOT + INT + abbreviation(3, tag, *attributes)
    table += abbreviation(4, parent, NAME, STRING, children=True)
    dies = INT_DIE + b"\4f\0" + die * (total // len(die))
    return dwarf(table, unit(dies), str=b"a" * 60_000 + b"\0") + ONE_FUNCTION
