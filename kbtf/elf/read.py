# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Read the header and the section headers of an ELF file."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kbtf.elf.format import (
    ELF_MAGIC,
    LAYOUTS,
    SHN_XINDEX,
    SHT_STRTAB,
    WITHOUT_CONTENTS,
    Elf,
    Section,
    name_at,
)
from kbtf.errors import ElfError
from kbtf.files.pieces import Pieces

if TYPE_CHECKING:
    from kbtf.elf.format import Data


def read_elf(data: Data | Pieces) -> Elf:
    """The ELF file in *data*, which is not copied.

    ElfError if a header, a section or the name of a section reaches past its end.
    """
    pieces = data if isinstance(data, Pieces) else Pieces([data])
    if not len(pieces):
        raise ElfError("is empty")
    if bytes(pieces[:4]) != ELF_MAGIC:
        raise ElfError("is not an ELF file")
    if len(pieces) < 16:
        raise ElfError("the ELF header is truncated")
    elf_class, byte_order = pieces[4:6]
    if elf_class not in LAYOUTS or byte_order not in (1, 2):
        raise ElfError(f"ELF class {elf_class} or byte order {byte_order} is not known")
    layout, order = LAYOUTS[elf_class], "<" if byte_order == 1 else ">"
    if len(pieces) < layout.header_size:
        raise ElfError("the ELF header is truncated")
    fields = struct.unpack(order + layout.header, pieces[16 : layout.header_size])
    elf = Elf(
        pieces,
        bits=32 * elf_class,
        order=order,
        layout=layout,
        type=fields[0],
        machine=fields[1],
        phoff=fields[4],
        phsize=fields[8] * fields[9],
        shoff=fields[5],
        shsize=0,
        shstrndx=fields[12],
        sections=[],
    )
    return _with_sections(elf, entry=fields[10], number=fields[11]) if elf.shoff else elf


def _with_sections(elf: Elf, entry: int, number: int) -> Elf:
    section = struct.Struct(elf.order + elf.layout.section)
    if entry != section.size:
        raise ElfError(f"section headers of {entry} bytes, not {section.size}")
    first = elf.slice(elf.shoff, section.size, "section header table")
    # Numbers that do not fit the ELF header are in the first section header.
    _, _, _, _, _, extended, link, _, _, _ = section.unpack(first)
    size = (number or extended) * section.size
    shstrndx = link if elf.shstrndx == SHN_XINDEX else elf.shstrndx
    elf = elf._replace(shsize=size, shstrndx=shstrndx)
    rows = list(section.iter_unpack(elf.slice(elf.shoff, size, "section header table")))
    if not rows:
        return elf
    if shstrndx >= len(rows):
        raise ElfError(f"section {shstrndx} of section names does not exist")
    names = None
    if shstrndx:
        _, kind, _, _, offset, size, *_ = rows[shstrndx]
        if kind != SHT_STRTAB:
            raise ElfError(f"section {shstrndx} of section names is not a string table")
        names = bytes(elf.slice(offset, size, "section name table"))
    return elf._replace(sections=_sections_of(elf, rows, names))


def _sections_of(elf: Elf, rows: list[tuple[int, ...]], names: bytes | None) -> list[Section]:
    """The sections, each within the file.

    This loop dominates runs over thousands of modules, so it creates tuples directly.
    """
    end = len(elf.data)
    make = tuple.__new__
    sections: list[Section] = []
    for index, row in enumerate(rows):
        name = "" if names is None else name_at(names, row[0], index)
        offset, size = row[4], row[5]
        if size and offset + size > end and index and row[1] not in WITHOUT_CONTENTS:
            elf.slice(offset, size, f"section {name}")
        sections.append(make(Section, (index, name, *row[1:])))
    return sections
