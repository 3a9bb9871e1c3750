# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Write an ELF file without moving bytes unnecessarily.

A section that keeps its size is patched in place.  Others are appended, followed by a new section
header table; unreferenced bytes at the end of the old file are dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.elf.format import SHT_PROGBITS, Section
from kbtf.elf.tables import elf_header, header_table, name_offsets, without_removed
from kbtf.errors import ElfError
from kbtf.files.pieces import Pieces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.elf.format import Elf

_ALIGN = 8  # in the file, of appended sections


def patched(elf: Elf, contents: dict[int, bytes]) -> Pieces:
    """The file with new *contents* of the same size, by the number of the section."""
    out = _Output(elf.data)
    _patch(elf, out, contents)
    return out.to_pieces()


def appended(
    elf: Elf, contents: dict[int, bytes], new: dict[str, bytes], removed: set[str]
) -> Pieces:
    """The file with *contents* by number, *new* sections by name, and without *removed* ones."""
    out = _Output(elf.data)
    moved = {at: data for at, data in contents.items() if elf.sections[at].size != len(data)}
    _patch(elf, out, {at: data for at, data in contents.items() if at not in moved})
    sections = list(elf.sections)
    names = sections[elf.shstrndx]
    name_table = bytes(elf.contents(names))
    places = name_offsets(elf)
    for name in new:
        places.append(len(name_table))
        name_table += name.encode("utf-8", "surrogateescape") + b"\0"
    replaced = [s for s in sections if s.number in moved or s.name in removed]
    replaced += [names] if new else []
    out.keep(_end_in_use(elf, replaced))
    if new:
        sections[names.number] = names._replace(offset=out.append(name_table), size=len(name_table))
    for at, data in moved.items():
        sections[at] = sections[at]._replace(offset=out.append(data), size=len(data))
    for name, data in new.items():
        sections.append(
            Section(
                len(sections), name, SHT_PROGBITS, 0, 0, out.append(data), len(data), 0, 0, 4, 0
            )
        )
    sections = without_removed(elf, sections, removed)
    shoff = out.append(header_table(elf, sections, places[: len(sections)]))
    out.patch(16, elf_header(elf, shoff, len(sections)))
    return out.to_pieces()


def _patch(elf: Elf, out: _Output, contents: dict[int, bytes]) -> None:
    for at, data in contents.items():
        section = elf.sections[at]
        _require_own_bytes(elf, section)
        out.patch(section.offset, data)


def _require_own_bytes(elf: Elf, section: Section) -> None:
    """ElfError if anything else in the file overlaps the bytes of *section*."""
    others = [(s.offset, s.file_size, s.name) for s in elf.sections if s != section]
    others.append((0, elf.layout.header_size, "the ELF header"))
    others.append((elf.phoff, elf.phsize, "the program headers"))
    others.append((elf.shoff, elf.shsize, "the section headers"))
    end = section.offset + section.size
    for offset, size, name in others:
        if size and offset < end and section.offset < offset + size:
            raise ElfError(f"overlaps {name}", where=section.name)


def _end_in_use(elf: Elf, replaced: list[Section]) -> int:
    """Where the file may be truncated: everything after that is being replaced."""
    live = [s.offset + s.file_size for s in elf.sections[1:] if s not in replaced]
    end = max([elf.layout.header_size, elf.phoff + elf.phsize, *live])
    dead = [(s.offset, s.offset + s.file_size) for s in replaced]
    return len(elf.data) if has_more_than(elf, dead, end) else end


def has_more_than(elf: Elf, known: Iterable[tuple[int, int]], end: int) -> bool:
    """Whether *end* is followed by more than zeros, the section headers and the *known* ranges."""
    tail = bytearray(elf.data[end:])
    for start, stop in (*known, (elf.shoff, elf.shoff + elf.shsize)):
        if stop > end:
            start = max(start, end)
            tail[start - end : stop - end] = bytes(stop - start)
    return any(tail)


class _Output:
    """A file in the making: the kept part of the old one with patches, and appended data.

    It is never joined: a copy of a large module costs time and memory.
    """

    def __init__(self, old: Pieces) -> None:
        self._old = old
        self._kept = len(old)
        self._patches: list[tuple[int, bytes]] = []
        self._tail = bytearray()

    def patch(self, offset: int, data: bytes) -> None:
        """Replace old bytes by *data*; patches may not overlap."""
        self._patches.append((offset, data))

    def keep(self, size: int) -> None:
        """Drop everything after the first *size* bytes, before anything is appended."""
        self._kept = size

    def append(self, data: bytes) -> int:
        """Append *data*, aligned; return its offset."""
        self._tail += bytes(-(self._kept + len(self._tail)) % _ALIGN)
        offset = self._kept + len(self._tail)
        self._tail += data
        return offset

    def to_pieces(self) -> Pieces:
        parts: list[bytes | bytearray | memoryview] = []
        at = 0
        for offset, data in sorted(self._patches):
            parts += [self._old[at:offset], data]
            at = offset + len(data)
        return Pieces([*parts, self._old[at : self._kept], self._tail])
