# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Unified kernel images: EFI programs that carry a kernel and its initramfs in PE sections.

Sources: the UAPI group's specification "Unified Kernel Image (UKI)", Microsoft's "PE Format".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from kbtf.errors import KbtfError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.files.source import Source

_PE_OFFSET = 0x3C  # where the DOS header says where the PE header is
_PE_MAGIC = b"PE\0\0"
_PE_HEADER = struct.Struct("<4s2xH12xH2x")  # magic, number of sections, size of the optional header
_SECTION = struct.Struct("<8sI4xII16x")  # name, size in memory, size and offset in the file


class Extent(NamedTuple):
    """A part of a file."""

    start: int
    end: int


def initrd_in(source: Source) -> Extent | None:
    """The initramfs in a unified kernel image; None if the file is not an EFI program.

    KbtfError if it has no initramfs, or is damaged.
    """
    if source[:2] != b"MZ":
        return None
    for name, extent in _sections(source):
        if name == b".initrd":
            return extent
    raise KbtfError("has no section .initrd")


def _sections(source: Source) -> Iterator[tuple[bytes, Extent]]:
    start = int.from_bytes(source[_PE_OFFSET : _PE_OFFSET + 4], "little")
    header = source[start : start + _PE_HEADER.size]
    if len(header) < _PE_HEADER.size or not header.startswith(_PE_MAGIC):
        raise KbtfError("has no PE header", where=f"offset {start}")
    _, count, optional = _PE_HEADER.unpack(header)
    table = start + _PE_HEADER.size + optional
    rows = source[table : table + count * _SECTION.size]
    if len(rows) < count * _SECTION.size:
        raise KbtfError("the section table reaches past the end", where=f"offset {table}")
    for name, in_memory, in_file, offset in _SECTION.iter_unpack(rows):
        # contents in the file are padded to the alignment
        extent = Extent(offset, offset + min(in_memory, in_file))
        name = name.rstrip(b"\0")
        if extent.end > len(source):
            raise KbtfError("reaches past the end", where=f"section {name.decode('latin-1')}")
        yield name, extent
