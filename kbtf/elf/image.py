# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""ELF files in memory: read their sections and symbols, add and replace sections.

It supports only what kernels and their modules need.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from kbtf.elf.append import appended, patched
from kbtf.elf.format import (
    SHN_XINDEX,
    SHT_NOBITS,
    SHT_NULL,
    SHT_SYMTAB,
    SHT_SYMTAB_SHNDX,
    Section,
    Symbol,
    name_at,
)
from kbtf.elf.read import read_elf
from kbtf.elf.repack import can_be_repacked, repacked
from kbtf.errors import ElfError
from kbtf.say import counted_is

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.elf.format import Data
    from kbtf.files.pieces import Pieces

_NAME_RATIO = 4
"""How much longer all names may be than the table of symbols with its strings: few share them."""


class ElfImage:
    """An ELF file in memory.

    *data* is not copied; ElfError if a header, a section or its name reaches past the end.
    *packed_size* is that of the file that *data* was unpacked from, if it was.
    """

    def __init__(self, data: Data | Pieces, *, packed_size: int | None = None) -> None:
        self._elf = read_elf(data)
        self.bits = self._elf.bits
        self.byte_order = "little" if self._elf.order == "<" else "big"
        self.type, self.machine = self._elf.type, self._elf.machine
        self.file_size = len(self._elf.data)
        self.packed_size = self.file_size if packed_size is None else packed_size
        self.sections = self._elf.sections
        # the first of each name
        self._by_name = {section.name: section for section in reversed(self.sections)}
        self.results: dict[object, Any] = {}
        """Results that depend on the symbols, which never change, kept by who computed them."""
        self._changes: dict[str, bytes] = {}
        self._removed: set[str] = set()

    def section(self, name: str) -> Section | None:
        """The first section of that name, or None."""
        return self._by_name.get(name)

    def contents(self, section: Section) -> memoryview:
        """The bytes of a section in the file; empty for NOBITS."""
        return self._elf.contents(section)

    def data(self, name: str) -> bytes | None:
        """The contents of a section, as set or as in the file; None if there is no such section."""
        if name in self._changes:
            return self._changes[name]
        if name in self._removed:
            return None
        section = self.section(name)
        return None if section is None else bytes(self.contents(section))

    def symbols(self, section: int | None = None) -> Iterator[Symbol]:
        """The symbols of ``.symtab``, in order; empty if there is no such table.

        With *section*, only those of the section with that index; the undefined ones are in 0.
        """
        table = next((s for s in self.sections if s.type == SHT_SYMTAB), None)
        if table is None:
            return
        if table.link >= len(self.sections):
            raise ElfError("its names are in a section that does not exist", where=table.name)
        names = bytes(self.contents(self.sections[table.link]))
        symbol = struct.Struct(self._elf.order + self._elf.layout.symbol)
        contents = self.contents(table)
        if len(contents) % symbol.size:
            raise ElfError(
                f"{counted_is(len(contents), 'byte')} not a whole number of symbols",
                where=table.name,
            )
        extended: memoryview | None = None
        room = _NAME_RATIO * (len(names) + len(contents))
        for index, fields in enumerate(symbol.iter_unpack(contents)):
            if self.bits == 64:
                name, info, _, shndx, value, size = fields
            else:
                name, value, size, info, _, shndx = fields
            if shndx == SHN_XINDEX:
                if extended is None:
                    extended = self._extended_indexes(table)
                if 4 * index + 4 > len(extended):
                    raise ElfError(f"symbol {index} has no section index", where=table.name)
                (shndx,) = struct.unpack_from(self._elf.order + "I", extended, 4 * index)
            if section is None or shndx == section:
                text = name_at(names, name, index)
                room -= len(text)
                if room < 0:
                    raise ElfError("too many symbols share their names", where=table.name)
                yield Symbol(text, value, size, info, shndx)

    def _extended_indexes(self, table: Section) -> memoryview:
        """The extended section indices of symbols (SHT_SYMTAB_SHNDX); empty if there are none."""
        for s in self.sections:
            if s.type == SHT_SYMTAB_SHNDX and s.link == table.number:
                return self.contents(s)
        return memoryview(b"")

    def set_section(self, name: str, data: bytes) -> None:
        """Give section *name* these contents when the image is written; add it if it is missing.

        A new section is PROGBITS without flags, as objcopy --add-section makes it.
        """
        if not name or "\0" in name:
            raise ElfError(f"{name!r} is not a name for a section")
        if sum(s.name == name for s in self.sections) > 1:
            raise ElfError(f"there are several sections {name}")
        section = self.section(name)
        if section is not None and section.type in (SHT_NULL, SHT_NOBITS):
            raise ElfError(f"section {name} has no contents to replace")
        self._changes[name] = data
        self._removed.discard(name)

    def remove_section(self, name: str) -> None:
        """Leave section *name* out when the image is written.

        The indices of other sections do not change: unless it is the last one, its header stays
        as an inactive one (SHT_NULL).
        """
        self._changes.pop(name, None)
        if self.section(name) is not None:
            self._removed.add(name)

    def to_bytes(self) -> bytes:
        """The file with its changes."""
        return self.to_pieces().to_bytes()

    def to_pieces(self) -> Pieces:
        """The file with its changes.

        If no size changes, all other bytes stay in place.  Otherwise, a relocatable file is
        rewritten as small as possible, and other files are extended at their end.
        """
        if not self._changes and not self._removed:
            return self._elf.data
        known = {name: self.section(name) for name in self._changes}
        contents = {s.number: self._changes[name] for name, s in known.items() if s is not None}
        new = {name: self._changes[name] for name, s in known.items() if s is None}
        if not new and not self._removed and self._keep_their_sizes(contents):
            return patched(self._elf, contents)
        if not self.sections:
            raise ElfError("has no section header table to add to")
        if not self._elf.shstrndx:
            raise ElfError("has no table of section names to add to")
        write = repacked if can_be_repacked(self._elf) else appended
        return write(self._elf, contents, new, self._removed)

    def _keep_their_sizes(self, contents: dict[int, bytes]) -> bool:
        return all(self.sections[at].size == len(data) for at, data in contents.items())
