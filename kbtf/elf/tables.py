# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Tables of an ELF file to be written: section headers, their names, the ELF header."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kbtf.elf.format import SHN_LORESERVE, SHT_NULL, Section
from kbtf.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.elf.format import Elf


def without_removed(elf: Elf, sections: list[Section], removed: set[str]) -> list[Section]:
    """Removed sections made inactive (SHT_NULL), so that all others keep their numbers."""
    # libelf, for example in resolve_btfids, fills a file from where a section is said to be up to
    # the next one: an inactive one at 0 would cost the file its header.
    starts = [s.offset for s in elf.sections[1:] if s.file_size and s.name not in removed]
    place = min(starts, default=elf.layout.header_size)
    kept = [
        Section(s.number, "", SHT_NULL, 0, 0, place, 0, 0, 0, 0, 0) if s.name in removed else s
        for s in sections
    ]
    while kept[-1].type == SHT_NULL and len(kept) > 1:
        kept.pop()
    return kept


def name_offsets(elf: Elf) -> list[int]:
    """The offset of each section's name in the table of names."""
    section = struct.Struct(elf.order + elf.layout.section)
    table = elf.slice(elf.shoff, elf.shsize, "section header table")
    return [row[0] for row in section.iter_unpack(table)]


def string_table(strings: Iterable[str]) -> tuple[bytes, dict[str, int]]:
    """A table of *strings*, which share the ends of longer ones if possible, and their offsets."""
    raw = {string: string.encode("utf-8", "surrogateescape") for string in strings}
    table = b"\0"
    offsets: dict[str, int] = {"": 0}
    last = b""
    for string in sorted(raw, key=lambda string: raw[string][::-1], reverse=True):
        if not last.endswith(raw[string]):
            last = raw[string]
            table += last + b"\0"
        offsets.setdefault(string, len(table) - 1 - len(raw[string]))
    return table, offsets


def header_table(elf: Elf, sections: list[Section], names: list[int]) -> bytes:
    """The section headers, with the offsets of their names."""
    section = struct.Struct(elf.order + elf.layout.section)
    if len(sections) >= SHN_LORESERVE:
        sections[0] = sections[0]._replace(size=len(sections))
    try:
        return b"".join(
            section.pack(0 if s.type == SHT_NULL else name, *s[2:])
            for name, s in zip(names, sections, strict=True)
        )
    except struct.error as error:
        raise too_large(elf) from error


def elf_header(elf: Elf, shoff: int, number: int) -> bytes:
    """The ELF header after its identification, for a table of that many section headers."""
    header = struct.Struct(elf.order + elf.layout.header)
    fields = list(header.unpack(elf.data[16 : 16 + header.size]))
    fields[5] = shoff
    fields[11] = number if number < SHN_LORESERVE else 0
    try:
        return header.pack(*fields)
    except struct.error as error:
        raise too_large(elf) from error


def too_large(elf: Elf) -> ElfError:
    """The error for a file that cannot grow further."""
    return ElfError(f"the file would grow beyond what ELF{elf.bits} can hold")
