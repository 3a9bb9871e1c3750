# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The sections of an ELF file for the encoder: with contents for those that it reads."""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING

from kbtf.elf.format import SHT_NULL, SHT_SYMTAB
from kbtf.errors import ElfError, KbtfError
from kbtf.files.budget import Budget, memory_limit

if TYPE_CHECKING:
    from kbtf.elf.format import Section
    from kbtf.elf.image import ElfImage

    Row = tuple[bytes, int, int, int, int, int, int, int, bytes | memoryview | None, bool]

_READ = {
    ".debug_info",
    ".debug_abbrev",
    ".debug_str",
    ".debug_line_str",
    ".debug_str_offsets",
    ".debug_addr",
    ".debug_loc",
    ".debug_loclists",
    ".BTF_ids",
}
_SHT_RELA, _SHT_NOTE, _SHT_NOBITS, _SHT_REL = 4, 7, 8, 9
_SHF_COMPRESSED = 1 << 11
_ZLIB, _ZSTD = 1, 2  # ch_type
_MAX_RATIO, _ANY_SIZE = 8, 4 << 20  # of all unpacked sections of a file together
_SLACK = 1 << 16  # charged to the budget for starting to unpack


def rows_of(image: ElfImage) -> list[Row]:
    """All sections in order; ElfError if one that the encoder reads cannot be unpacked."""
    names = [section.name.replace(".zdebug_", ".debug_", 1) for section in image.sections]
    wanted = {
        section.number
        for section, name in zip(image.sections, names, strict=True)
        if name in _READ or section.type in (SHT_SYMTAB, _SHT_NOTE)
    }
    wanted |= {section.link for section in image.sections if section.type == SHT_SYMTAB}
    wanted |= {
        section.number
        for section in image.sections
        if section.type in (_SHT_RELA, _SHT_REL) and section.info in wanted
    }
    most = _ANY_SIZE + _MAX_RATIO * image.file_size
    # a file that was unpacked itself has taken a part
    budget = Budget(min(most, memory_limit(image.packed_size) - image.file_size))
    return [
        _row(image, section, name, budget if section.number in wanted else None)
        for section, name in zip(image.sections, names, strict=True)
    ]


def _row(image: ElfImage, section: Section, name: str, budget: Budget | None) -> Row:
    contents = _contents(image, section, budget) if budget else None
    return (
        name.encode("utf-8", "surrogateescape"),
        section.type,
        section.flags,
        section.addr,
        section.align,
        section.link,
        section.info,
        section.size,
        contents,
        isinstance(contents, memoryview) and isinstance(contents.obj, mmap.mmap),
    )


def _contents(image: ElfImage, section: Section, budget: Budget) -> bytes | memoryview | None:
    if section.type in (SHT_NULL, _SHT_NOBITS):
        return None
    data = image.contents(section)
    try:
        if section.flags & _SHF_COMPRESSED:
            return _unpack_section(image, section, data, budget)
        if section.name.startswith(".zdebug_") and bytes(data[:4]) == b"ZLIB":
            return _inflate(data[12:], int.from_bytes(data[4:12], "big"), budget)
    except KbtfError as error:
        raise ElfError(f"cannot be unpacked: {error.what}", where=section.name) from error
    return data


def _unpack_section(image: ElfImage, section: Section, data: memoryview, budget: Budget) -> bytes:
    """The contents after a compression header (Elf32_Chdr, Elf64_Chdr)."""
    order = "<" if image.byte_order == "little" else ">"
    header = struct.Struct(order + ("III" if image.bits == 32 else "IIQQ"))
    if not section.name.startswith(".debug_"):
        raise ElfError("only debug sections may be compressed")
    if len(data) < header.size:
        raise ElfError("the compression header is truncated")
    fields = header.unpack(data[: header.size])
    kind, size = fields[0], fields[-2]
    packed = data[header.size :]
    if kind == _ZLIB:
        return _inflate(packed, size, budget)
    if kind != _ZSTD:
        raise ElfError(f"compression {kind} is not known")
    from kbtf.files.compression import unpack  # most modules are not compressed

    budget.take(size)
    unpacked = bytes(unpack(packed, kind="zst", whole=True, budget=Budget(size + _SLACK)))
    if len(unpacked) != size:
        raise ElfError(f"holds {len(unpacked)} bytes, not {size}")
    return unpacked


def _inflate(packed: memoryview, size: int, budget: Budget) -> bytes:
    import zlib

    budget.take(size)
    decoder = zlib.decompressobj()
    try:
        unpacked = decoder.decompress(packed, size + 1)
    except zlib.error as error:
        raise ElfError(f"cannot be decoded: {error}") from error
    if len(unpacked) != size:
        raise ElfError(f"holds {len(unpacked)} bytes, not {size}")
    return unpacked
