# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Write a relocatable ELF file without gaps, as small as objcopy would.

Only the section headers refer to offsets in such a file, so sections may move.  Those that move
together are one piece of the old file and are not copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.elf.append import has_more_than
from kbtf.elf.format import (
    ET_REL,
    SHT_PROGBITS,
    SHT_REL,
    SHT_RELA,
    SHT_SYMTAB,
    WITHOUT_CONTENTS,
    Section,
)
from kbtf.elf.tables import elf_header, header_table, name_offsets, string_table, without_removed
from kbtf.files.pieces import Pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.elf.format import Data, Elf

_ALIGN_OF_NEW = 4  # BTF consists of words, and kernels read .BTF.base in place
_RELOCATIONS = (SHT_RELA, SHT_REL)
_LARGEST_ALIGN = 4096  # the largest that is accepted


def can_be_repacked(elf: Elf) -> bool:
    """Whether the file consists of headers, gaps and sections that do not overlap."""
    if elf.type != ET_REL or elf.phsize:
        return False
    at = elf.layout.header_size
    ranges = [(s.offset, s.offset + s.file_size) for s in elf.sections[1:] if s.file_size]
    ranges.append((elf.shoff, elf.shoff + elf.shsize))
    for start, end in sorted(ranges):
        if start < at:
            return False
        at = end
    return not has_more_than(elf, (), at)


def repacked(
    elf: Elf, contents: dict[int, bytes], new: dict[str, bytes], removed: set[str]
) -> Pieces:
    """The file with *contents* by number, *new* sections by name, and without *removed* ones."""
    contents = dict(contents)
    sections = list(elf.sections)
    for name, data in new.items():
        contents[len(sections)] = data
        sections.append(Section(len(sections), name, SHT_PROGBITS, 0, 0, 0, len(data), 0, 0, 1, 0))
    sections = without_removed(elf, sections, removed)
    names = _name_table(elf, sections, contents)
    for at, data in contents.items():
        if at < len(sections):
            sections[at] = sections[at]._replace(size=len(data))
    # Aligned if that costs nothing: objcopy does not align sections that it adds.
    layouts = [
        _place(elf, order, align)
        for align in ((_ALIGN_OF_NEW, 1) if new else (1,))
        for order in _orders(elf, sections)
    ]
    placed, end = min(layouts, key=lambda layout: layout[1])  # of equal ones the first
    for section in placed:
        sections[section.number] = section
    table = header_table(elf, sections, names)
    header = bytes(elf.data[:16]) + elf_header(elf, end, len(sections))
    return Pieces([header, *_parts(elf, placed, contents), table])


def _name_table(elf: Elf, sections: list[Section], contents: dict[int, bytes]) -> list[int]:
    """The offset of each section's name in a new table of names, which is put into *contents*."""
    if any(s.link == elf.shstrndx for s in sections):  # its symbols have their names there too
        table = bytes(elf.contents(elf.sections[elf.shstrndx]))
        places = name_offsets(elf)
        for s in sections[len(places) :]:
            places.append(len(table))
            table += s.name.encode("utf-8", "surrogateescape") + b"\0"
        places = places[: len(sections)]
    else:
        table, offsets = string_table(s.name for s in sections)
        places = [offsets[s.name] for s in sections]
    contents[elf.shstrndx] = table
    return places


def _orders(elf: Elf, sections: list[Section]) -> Iterator[list[Section]]:
    """Possible orders of the sections, the best one first.

    New sections follow everything but the names of sections, so that the others stay in place; or
    they come before the symbols, with the others as in the file, or by number.  Relocations follow
    other sections: they are aligned, so elsewhere they would cost padding.  The order by number is
    that of objcopy; it is smaller if the linker did not lay out sections by number, as with lld.
    """
    symbols = next((s for s in elf.sections if s.type == SHT_SYMTAB), None)
    ends = len(elf.data), len(elf.sections)
    before = (symbols.offset, symbols.number) if symbols else ends

    def group(s: Section) -> int:
        return 2 if s.number == elf.shstrndx else int(s.type in _RELOCATIONS)

    def is_new(s: Section) -> bool:
        return s.number >= len(elf.sections)

    def in_place(s: Section) -> tuple[int, int, bool, int]:
        return 2 * group(s) + 3 * is_new(s), s.offset, bool(s.size), s.number

    def in_file(s: Section) -> tuple[int, int, int, int]:
        if is_new(s):
            return group(s), before[0], 0, s.number
        return group(s), s.offset, 1 + bool(s.size), s.number

    def by_number(s: Section) -> tuple[int, int, int, int]:
        return group(s), before[1] if is_new(s) else s.number, int(not is_new(s)), s.number

    for key in (in_place, in_file, by_number):
        yield sorted(sections[1:], key=key)


def _place(elf: Elf, order: list[Section], align_of_new: int) -> tuple[list[Section], int]:
    """The sections at their new offsets, and the offset of the section headers."""
    placed = []
    at = elf.layout.header_size
    for section in order:
        align = section.align
        if section.number >= len(elf.sections):
            align = align_of_new
            section = section._replace(align=align)
        size = section.size if section.type not in WITHOUT_CONTENTS else 0
        if size and align > 1 and not align & (align - 1):
            aligned = at + -at % min(align, _LARGEST_ALIGN)
            # not all linkers align sections in the file; where they are, they cost no more
            at = section.offset if at <= section.offset < aligned else aligned
        placed.append(section if section.offset == at else section._replace(offset=at))
        at += size
    return placed, at + -at % (elf.bits // 8)


def _parts(elf: Elf, placed: list[Section], contents: dict[int, bytes]) -> Iterator[Data]:
    """The contents between the ELF header and the section headers."""
    at = elf.layout.header_size
    start = end = 0  # of the old file's bytes that were not yielded yet
    for section in placed:
        if not section.file_size:
            continue
        gap = section.offset - at
        at = section.offset + section.file_size
        if section.number in contents:
            yield from (elf.data[start:end], bytes(gap), contents[section.number])
            start = end = 0
            continue
        old = elf.sections[section.number].offset
        if not end or old - end != gap:
            yield from (elf.data[start:end], bytes(gap))
            start = old
        end = old + section.file_size
    yield from (elf.data[start:end], bytes(-at % (elf.bits // 8)))
