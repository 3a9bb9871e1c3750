# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The compile units in the DWARF of a module and their compilers, for diagnosis."""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from elftools.elf.elffile import ELFFile

from kbtf.elf.image import ElfImage
from kbtf.elf.parsed import parse_elf, reading
from kbtf.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elftools.dwarf.compileunit import CompileUnit as ParsedUnit
    from elftools.dwarf.dwarfinfo import DWARFInfo
    from elftools.elf.sections import Section

    from kbtf.elf.format import Data

_SHF_COMPRESSED = 1 << 11
# clang has the address ranges of a unit in .debug_rnglists, which pyelftools looks up.
_RELOCATED = (".debug_info", ".debug_str_offsets", ".debug_addr", ".debug_rnglists")
_READ = (*_RELOCATED, ".debug_abbrev", ".debug_str", ".debug_line_str")
_FIRST = 256
"""Bytes that a unit's header and first entry are within: pyelftools applies a few thousand
relocations a second, and a module has up to millions."""
_MOST_UNITS = 20_000
_MOST_READ = 16 << 20
"""Limits on the bytes of a section, and of all names: many units may share a long one."""
# pyelftools 0.29 leaves some of these as numbers.
_SPLIT = ("DW_AT_dwo_name", 0x76, "DW_AT_GNU_dwo_name", 0x2130)
_COMPILED = ("DW_UT_compile", 1, "DW_UT_skeleton", 4)
# DW_LANG of DWARF 5 and of https://dwarfstd.org/languages.html
_LANGUAGES = {
    0x01: "C89",
    0x02: "C",
    0x04: "C++",
    0x0C: "C99",
    0x19: "C++03",
    0x1A: "C++11",
    0x1C: "Rust",
    0x1D: "C11",
    0x21: "C++14",
    0x27: "Zig",
    0x2A: "C++17",
    0x2B: "C++20",
    0x2C: "C17",
    0x3A: "C++23",
    0x3E: "C23",
    0x8001: "assembler",
}


class CompileUnit(NamedTuple):
    """A unit of `.debug_info`; fields that a skeleton of split DWARF lacks are None."""

    name: str | None
    compiler: str | None
    """The compiler with its options, as it wrote them."""
    language: str | None
    dwarf_version: int
    is_split: bool
    """Whether the rest of the unit is in a ``.dwo`` file."""


class _Bounded(io.BytesIO):
    """Bytes with a limit on how many are read in total."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._left = most

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ElfError("has compile units that share too much")
        return data


class _UnitsOnly(ELFFile):
    """An ELF file that appears to have only the DWARF sections that are read here."""

    def get_section_by_name(self, name: str) -> Section | None:
        return super().get_section_by_name(name) if name in _READ else None


def compile_units(data: Data) -> list[CompileUnit]:
    """The compile units of the ELF file in *data*; ElfError if its DWARF cannot be read."""
    image = ElfImage(data)
    for name in _RELOCATED:
        _leave_first_relocations(image, name)
    few = image.to_bytes()
    for section in parse_elf(few).iter_sections():  # checks its tables
        if section.name in _READ and section.compressed and section.data_size > _MOST_READ:
            raise ElfError(f"is said to hold {section.data_size} bytes", where=section.name)
    with reading():
        return list(_units(_UnitsOnly(io.BytesIO(few))))


def _leave_first_relocations(image: ElfImage, name: str) -> None:
    """Drop the relocations of a section of DWARF that are not at the beginning of a unit."""
    relocations, section = image.data(f".rela{name}"), image.section(name)
    if not relocations or section is None or section.flags & _SHF_COMPRESSED:
        return
    order = "<" if image.byte_order == "little" else ">"
    entry = struct.Struct(order + ("QQq" if image.bits == 64 else "IIi"))
    starts = list(_unit_starts(image.data(name) or b"", order))

    def is_near(offset: int) -> bool:
        return offset - starts[bisect_right(starts, offset) - 1] < _FIRST

    whole = relocations[: len(relocations) // entry.size * entry.size]
    kept = [entry.pack(*row) for row in entry.iter_unpack(whole) if starts and is_near(row[0])]
    image.set_section(f".rela{name}", b"".join(kept))


def _unit_starts(data: bytes, order: str) -> Iterator[int]:
    """The offsets of the units of a section, each of which starts with its length."""
    at = 0
    while at + 12 <= len(data):
        yield at
        (length,) = struct.unpack_from(f"{order}I", data, at)
        if length == 0xFFFFFFFF:  # DWARF of 64 bits
            (length,) = struct.unpack_from(f"{order}Q", data, at + 4)
            at += 8
        at += 4 + length


def _units(elf: ELFFile) -> Iterator[CompileUnit]:
    if elf.get_section_by_name(".debug_info") is None:
        return
    dwarf = elf.get_dwarf_info(follow_links=False)
    # abbreviation tables are consecutive, and each is read once
    _bound(dwarf, "debug_abbrev_sec", most=None)
    _bound(dwarf, "debug_str_sec", most=_MOST_READ)
    _bound(dwarf, "debug_line_str_sec", most=_MOST_READ)
    for number, unit in enumerate(dwarf.iter_CUs()):
        if number == _MOST_UNITS:
            raise ElfError(f"has more than {_MOST_UNITS:,} compile units")
        if unit.header.get("unit_type", "DW_UT_compile") in _COMPILED:
            yield _unit(unit)


def _bound(dwarf: DWARFInfo, name: str, *, most: int | None) -> None:
    """Allow only so many bytes of a section to be read, or as many as it has."""
    section = getattr(dwarf, name)
    if section is not None:
        section.stream.seek(0)
        stream = _Bounded(section.stream.read(), section.size if most is None else most)
        setattr(dwarf, name, section._replace(stream=stream))


def _unit(unit: ParsedUnit) -> CompileUnit:
    attributes = unit.get_top_DIE().attributes

    def text(name: str) -> str | None:
        value = attributes[name].value if name in attributes else None
        return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else None

    language = attributes["DW_AT_language"].value if "DW_AT_language" in attributes else None
    is_split = any(name in attributes for name in _SPLIT)
    return CompileUnit(
        name=text("DW_AT_name"),
        compiler=text("DW_AT_producer"),
        language=None if language is None else _LANGUAGES.get(language, f"{language:#x}"),
        dwarf_version=unit["version"],
        is_split=is_split,
    )
