# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The structures of ELF files.  Source: System V ABI (gABI) chapters 4 and 5."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.errors import ElfError

if TYPE_CHECKING:
    import mmap

    from kbtf.files.pieces import Pieces

    Data = bytes | bytearray | memoryview | mmap.mmap

SHT_NULL = 0
SHT_PROGBITS = 1
SHT_SYMTAB = 2
SHT_STRTAB = 3
SHT_RELA = 4
SHT_NOBITS = 8
SHT_REL = 9
SHT_SYMTAB_SHNDX = 18
SHF_ALLOC = 2
SHN_UNDEF = 0
SHN_LORESERVE = 0xFF00
SHN_XINDEX = 0xFFFF
ELF_MAGIC = b"\x7fELF"
ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
EM_BPF = 247

WITHOUT_CONTENTS = (SHT_NULL, SHT_NOBITS)
_MAX_NAME = 4096
"""Limit on the bytes of a name: many may share one long string.  The kernel's limit is 511."""


class Layout(NamedTuple):
    """The differences between ELF32 and ELF64."""

    header_size: int
    header: str  # from e_type on, after the 16 bytes of e_ident
    section: str
    symbol: str


LAYOUTS = {
    1: Layout(52, "HHIIIIIHHHHHH", "10I", "IIIBBH"),
    2: Layout(64, "HHIQQQIHHHHHH", "IIQQQQIIQQ", "IBBHQQ"),
}


class Section(NamedTuple):
    """A section header, its name looked up."""

    number: int
    name: str
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int

    @property
    def file_size(self) -> int:
        """The number of bytes it occupies in the file."""
        return 0 if self.type in WITHOUT_CONTENTS else self.size


class Symbol(NamedTuple):
    """A symbol; *shndx* is the section's index, extended numbering resolved."""

    name: str
    value: int
    size: int
    info: int
    shndx: int


class Elf(NamedTuple):
    """A parsed ELF file: its header, and its sections, all of which are within the file."""

    data: Pieces
    bits: int
    order: str
    """The byte order, as the module struct writes it."""
    layout: Layout
    type: int
    machine: int
    phoff: int
    phsize: int
    shoff: int
    shsize: int
    shstrndx: int
    sections: list[Section]

    def slice(self, offset: int, size: int, what: str) -> memoryview:
        """Bytes of the file; ElfError if it is too short."""
        if offset + size > len(self.data):
            raise ElfError(
                f"{what} (offset {offset}, {size} bytes) reaches past the end "
                f"({len(self.data)} bytes)"
            )
        return self.data[offset : offset + size]

    def contents(self, section: Section) -> memoryview:
        """The bytes of a section in the file; empty for NOBITS."""
        return self.data[section.offset : section.offset + section.file_size]


def name_at(names: bytes, offset: int, index: int) -> str:
    """The string at *offset* of a string table, for entry *index* of another one."""
    end = names.find(b"\0", offset, offset + _MAX_NAME + 1)
    if end < 0 or offset > len(names):
        raise ElfError(
            f"the name of entry {index} (offset {offset}) has no end within {_MAX_NAME} bytes"
        )
    return names[offset:end].decode("utf-8", "surrogateescape")
