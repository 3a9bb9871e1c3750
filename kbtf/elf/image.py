"""ELF files: read their sections and symbols, add and replace sections.

Only what kernel modules and kernels need, and no byte moves that need not: whatever is not
replaced stays where it is.  Source: System V ABI (gABI) chapters 4 and 5.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kbtf.elf.pieces import Pieces
from kbtf.errors import ElfError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    Data = bytes | bytearray | memoryview | mmap.mmap

SHT_NULL = 0
SHT_PROGBITS = 1
SHT_SYMTAB = 2
SHT_STRTAB = 3
SHT_NOBITS = 8
SHT_SYMTAB_SHNDX = 18
SHF_ALLOC = 2
SHN_LORESERVE = 0xFF00
SHN_XINDEX = 0xFFFF
ET_REL = 1

_WITHOUT_CONTENTS = (SHT_NULL, SHT_NOBITS)
_ALIGN = 8  # in the file, for what is appended
_MAX_NAME = 4096
"""Bytes of a name, of which many may share one long string.  The kernel's have at most 511."""


class _Layout(NamedTuple):
    """What differs between ELF32 and ELF64."""

    header_size: int
    header: str  # from e_type on, behind the 16 bytes of e_ident
    section: str
    symbol: str


_LAYOUTS = {
    1: _Layout(52, "HHIIIIIHHHHHH", "10I", "IIIBBH"),
    2: _Layout(64, "HHIQQQIHHHHHH", "IIQQQQIIQQ", "IBBHQQ"),
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
        """How many bytes of the file it takes."""
        return 0 if self.type in _WITHOUT_CONTENTS else self.size


class Symbol(NamedTuple):
    """A symbol; *shndx* is the section's index, extended numbering resolved."""

    name: str
    value: int
    size: int
    info: int
    shndx: int


class ElfImage:
    """An ELF file in memory.

    *data* is not copied; ElfError if a header, a section or a name of a section reaches out of it.
    """

    def __init__(self, data: Data | Pieces) -> None:
        self._data = data if isinstance(data, Pieces) else Pieces([data])
        if bytes(self._data[:4]) != b"\x7fELF":
            raise ElfError("is not an ELF file")
        if len(self._data) < 16:
            raise ElfError("the ELF header is truncated")
        elf_class, order = self._data[4:6]
        if elf_class not in _LAYOUTS or order not in (1, 2):
            raise ElfError(f"ELF class {elf_class} or byte order {order} is not known")
        self.bits = 32 * elf_class
        self.byte_order = "little" if order == 1 else "big"
        self._layout = _LAYOUTS[elf_class]
        self._order = "<" if order == 1 else ">"
        self._read_header()
        self.sections = self._read_sections()
        # the first of each name
        self._by_name = {section.name: section for section in reversed(self.sections)}
        self._changes: dict[str, bytes] = {}
        self._removed: set[str] = set()

    def _read_header(self) -> None:
        if len(self._data) < self._layout.header_size:
            raise ElfError("the ELF header is truncated")
        fields = self._header_fields()
        self.type, self.machine = fields[0], fields[1]
        self._phoff, self._shoff = fields[4], fields[5]
        self._phsize = fields[8] * fields[9]
        self._shentsize, self._shnum, self._shstrndx = fields[10:13]

    def _header_fields(self) -> tuple[int, ...]:
        """What follows the identification in the ELF header."""
        header = struct.Struct(self._order + self._layout.header)
        return header.unpack(self._data[16 : 16 + header.size])

    def _read_sections(self) -> list[Section]:
        if not self._shoff:
            return []
        section = struct.Struct(self._order + self._layout.section)
        if self._shentsize != section.size:
            raise ElfError(f"section headers of {self._shentsize} bytes, not {section.size}")
        first = self._slice(self._shoff, section.size, "section header table")
        # Numbers that do not fit the ELF header stand in the first section header.
        _, _, _, _, _, number, link, _, _, _ = section.unpack(first)
        self._shnum = self._shnum or number
        if self._shstrndx == SHN_XINDEX:
            self._shstrndx = link
        table = self._slice(self._shoff, self._shnum * section.size, "section header table")
        rows = list(section.iter_unpack(table))
        if not rows:
            return []
        if self._shstrndx >= len(rows):
            raise ElfError(f"section {self._shstrndx} of section names does not exist")
        names = None
        if self._shstrndx:
            _, kind, _, _, offset, size, *_ = rows[self._shstrndx]
            if kind != SHT_STRTAB:
                raise ElfError(f"section {self._shstrndx} of section names is not a string table")
            names = bytes(self._slice(offset, size, "section name table"))
        return self._sections_of(rows, names)

    def _sections_of(self, rows: list[tuple[int, ...]], names: bytes | None) -> list[Section]:
        """The sections, each within the file.

        Of what is done to thousands of modules, this loop takes most: it makes tuples directly.
        """
        end = len(self._data)
        make = tuple.__new__
        sections: list[Section] = []
        for index, row in enumerate(rows):
            name = "" if names is None else _name_at(names, row[0], index)
            offset, size = row[4], row[5]
            if size and offset + size > end and index and row[1] not in _WITHOUT_CONTENTS:
                self._slice(offset, size, f"section {name}")
            sections.append(make(Section, (index, name, *row[1:])))
        return sections

    def _slice(self, offset: int, size: int, what: str) -> memoryview:
        if offset + size > len(self._data):
            raise ElfError(
                f"{what} (offset {offset}, {size} bytes) reaches past the end "
                f"({len(self._data)} bytes)"
            )
        return self._data[offset : offset + size]

    def section(self, name: str) -> Section | None:
        """The first section of that name, or None."""
        return self._by_name.get(name)

    def contents(self, section: Section) -> memoryview:
        """The bytes of a section as the file has them; none for NOBITS."""
        return self._data[section.offset : section.offset + section.file_size]

    def data(self, name: str) -> bytes | None:
        """The bytes of a section, set or read; None if there is no such section."""
        if name in self._changes:
            return self._changes[name]
        if name in self._removed:
            return None
        section = self.section(name)
        return None if section is None else bytes(self.contents(section))

    def symbols(self) -> Iterator[Symbol]:
        """The symbols of ``.symtab``, in order; none if there is no such table."""
        table = next((s for s in self.sections if s.type == SHT_SYMTAB), None)
        if table is None:
            return
        if table.link >= len(self.sections):
            raise ElfError("its names are in a section that does not exist", where=table.name)
        names = bytes(self.contents(self.sections[table.link]))
        symbol = struct.Struct(self._order + self._layout.symbol)
        contents = self.contents(table)
        if len(contents) % symbol.size:
            raise ElfError(
                f"{len(contents)} bytes are not a whole number of symbols", where=table.name
            )
        extended: memoryview | None = None
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
                (shndx,) = struct.unpack_from(self._order + "I", extended, 4 * index)
            yield Symbol(_name_at(names, name, index), value, size, info, shndx)

    def _extended_indexes(self, table: Section) -> memoryview:
        """The sections of the symbols for which 16 bits are too few; empty if none are told."""
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

        No index of another section changes: unless it is the last one, its header stays as an
        inactive one (SHT_NULL).
        """
        self._changes.pop(name, None)
        if self.section(name) is not None:
            self._removed.add(name)

    def to_bytes(self) -> bytes:
        """The file with its changes."""
        return self.to_pieces().to_bytes()

    def to_pieces(self) -> Pieces:
        """The file with its changes; unchanged bytes stay where they were.

        A section that keeps its size is patched in place.  Others are appended, and behind them a
        new section header table; what nothing refers to any more at the end of the old file is
        given up.
        """
        if not self._changes and not self._removed:
            return self._data
        out = _Output(self._data)
        moved = {}
        for name, data in self._changes.items():
            section = self.section(name)
            if section is not None and section.size == len(data):
                self._require_own_bytes(section)
                out.patch(section.offset, data)
            else:
                moved[name] = data
        if moved or self._removed:
            if not self.sections:
                raise ElfError("has no section header table to add to")
            if not self._shstrndx:
                raise ElfError("has no table of section names to add to")
            self._append(out, moved)
        return out.to_pieces()

    def _require_own_bytes(self, section: Section) -> None:
        """ElfError if something else of the file lies in the bytes of *section*."""
        others = [(s.offset, s.file_size, s.name) for s in self.sections if s != section]
        others.append((0, self._layout.header_size, "the ELF header"))
        others.append((self._phoff, self._phsize, "the program headers"))
        others.append((self._shoff, self._shnum * self._shentsize, "the section headers"))
        end = section.offset + section.size
        for offset, size, name in others:
            if size and offset < end and section.offset < offset + size:
                raise ElfError(f"overlaps {name}", where=section.name)

    def _append(self, out: _Output, moved: dict[str, bytes]) -> None:
        sections = list(self.sections)
        names = sections[self._shstrndx]
        new_names = [name for name in moved if self.section(name) is None]
        name_table = bytes(self.contents(names))
        offsets = {}
        for name in new_names:
            offsets[name] = len(name_table)
            name_table += name.encode("utf-8", "surrogateescape") + b"\0"
        replaced = [s for s in sections if s.name in moved or s.name in self._removed]
        replaced += [names] if new_names else []
        self._give_up_tail(out, replaced)
        if new_names:
            offset = out.append(name_table)
            sections[names.number] = names._replace(offset=offset, size=len(name_table))
        for name, data in moved.items():
            offset = out.append(data)
            old = self.section(name)
            if old is not None:
                sections[old.number] = old._replace(offset=offset, size=len(data))
            else:
                sections.append(
                    Section(len(sections), name, SHT_PROGBITS, 0, 0, offset, len(data), 0, 0, 4, 0)
                )
        self._write_table(out, self._without_removed(sections), offsets)

    def _without_removed(self, sections: list[Section]) -> list[Section]:
        # libelf, in resolve_btfids for one, fills a file from where a section is said to be up to
        # the next one: an inactive one at 0 would cost the file its header.
        starts = [s.offset for s in sections[1:] if s.file_size and s.name not in self._removed]
        place = min(starts, default=self._layout.header_size)
        kept = [
            Section(s.number, "", SHT_NULL, 0, 0, place, 0, 0, 0, 0, 0)
            if s.name in self._removed
            else s
            for s in sections
        ]
        while kept[-1].type == SHT_NULL and len(kept) > 1:
            kept.pop()
        return kept

    def _give_up_tail(self, out: _Output, replaced: list[Section]) -> None:
        """Cut what lies behind the last byte in use, if it is only what is being replaced."""
        dead = [(s.offset, s.offset + s.file_size) for s in replaced]
        dead.append((self._shoff, self._shoff + self._shnum * self._shentsize))
        live = [s.offset + s.file_size for s in self.sections[1:] if s not in replaced]
        end = max([self._layout.header_size, self._phoff + self._phsize, *live])
        tail = bytearray(self._data[end:])
        for start, stop in dead:
            if stop > end:
                start = max(start, end)
                tail[start - end : stop - end] = bytes(stop - start)
        if not any(tail):
            out.keep(end)

    def _write_table(self, out: _Output, sections: list[Section], offsets: dict[str, int]) -> None:
        section = struct.Struct(self._order + self._layout.section)
        old_table = self._slice(self._shoff, self._shnum * section.size, "section header table")
        name_offsets = [row[0] for row in section.iter_unpack(old_table)][: len(sections)]
        name_offsets += [offsets[s.name] for s in sections[len(name_offsets) :]]
        name_offsets = [
            offset if s.type != SHT_NULL else 0
            for offset, s in zip(name_offsets, sections, strict=True)
        ]
        if len(sections) >= SHN_LORESERVE:
            sections[0] = sections[0]._replace(size=len(sections))
        try:
            table = b"".join(
                section.pack(name, *s[2:]) for name, s in zip(name_offsets, sections, strict=True)
            )
            shoff = out.append(table)
            header = struct.Struct(self._order + self._layout.header)
            fields = list(self._header_fields())
            fields[5] = shoff
            fields[11] = len(sections) if len(sections) < SHN_LORESERVE else 0
            out.patch(16, header.pack(*fields))
        except struct.error as error:
            raise ElfError(f"the file would grow beyond what ELF{self.bits} can hold") from error


class _Output:
    """A file as it becomes: the old one with patches, as far as it is kept, and what follows.

    It is never put together: a copy of a large module costs time and memory.
    """

    def __init__(self, old: Pieces) -> None:
        self._old = old
        self._kept = len(old)
        self._patches: list[tuple[int, bytes]] = []
        self._tail = bytearray()

    def patch(self, offset: int, data: bytes) -> None:
        """Put *data* in the place of old bytes; no two patches may overlap."""
        self._patches.append((offset, data))

    def keep(self, size: int) -> None:
        """Give up what lies behind the first *size* bytes, before anything is appended."""
        self._kept = size

    def append(self, data: bytes) -> int:
        """Add *data* at the end, aligned; where it begins."""
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


def _name_at(names: bytes, offset: int, index: int) -> str:
    end = names.find(b"\0", offset, offset + _MAX_NAME + 1)
    if end < 0 or offset > len(names):
        raise ElfError(
            f"the name of entry {index} (offset {offset}) has no end within {_MAX_NAME} bytes"
        )
    return names[offset:end].decode("utf-8", "surrogateescape")
