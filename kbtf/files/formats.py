# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The formats of compressed data, recognised by their first bytes.

They are those of scripts/Makefile.lib and scripts/extract-vmlinux of the kernel.  A kind is named
by the suffix of its files: ``gz``, ``xz``, ``zst``, ``lzma``, ``bz2``, ``lz4``, ``lzo``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class Slices(Protocol):
        """Bytes that are read by slice: bytes, a memoryview, a mapping, a file."""

        def __len__(self) -> int: ...
        def __getitem__(self, part: slice, /) -> bytes | bytearray | memoryview: ...


NAMES = {
    "gz": "gzip",
    "xz": "xz",
    "zst": "zstd",
    "lzma": "lzma",
    "bz2": "bzip2",
    "lz4": "lz4",
    "lzo": "LZO",
}
"""By kind, as people call the formats."""
MAGICS = {
    "gz": b"\x1f\x8b\x08",
    "xz": b"\xfd7zXZ\0",
    "zst": b"\x28\xb5\x2f\xfd",
    "lzma": b"\x5d\0\0",
    "bz2": b"BZh",
    "lz4": b"\x02\x21\x4c\x18",
    "lzo": b"\x89LZO\0\r\n\x1a\n",
}
"""The first bytes, by kind."""

MODULE_KINDS = ("gz", "xz", "zst")
"""The compression of modules: CONFIG_MODULE_COMPRESS_* of the kernel."""
MODULE_SUFFIXES = (".ko", *(f".ko.{kind}" for kind in MODULE_KINDS))
"""The suffixes of modules."""
SIGNATURE_MAGIC = b"~Module signature appended~\n"
"""The end of a signed module: include/linux/module_signature.h."""
MOST_UNPACKED = 1 << 30
"""Bytes: no kernel or module is larger."""


def recognise(data: Slices, offset: int = 0) -> str | None:
    """The kind of compressed data that starts at *offset*, or None."""
    head = bytes(data[offset : offset + 16])
    for kind, magic in MAGICS.items():
        if head.startswith(magic):
            return kind if _is_plausible(kind, head) else None
    return None


def _is_plausible(kind: str, head: bytes) -> bool:
    """Whether the bytes after a short magic also fit the format."""
    if kind == "gz":
        return len(head) > 3 and not head[3] & 0xE0
    if kind == "bz2":
        return head[3:4].isdigit() and head[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
    if kind == "lzma":
        if len(head) < 13:
            return False
        dictionary, size = struct.unpack_from("<IQ", head, 1)
        low = dictionary & -dictionary
        known = dictionary and dictionary in (low, 3 * low)
        return bool(known and (size <= MOST_UNPACKED or size == 2**64 - 1))
    return True
