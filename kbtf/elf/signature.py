# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The signature at the end of a module.  Source: include/linux/module_signature.h."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.errors import ElfError
from kbtf.files.formats import SIGNATURE_MAGIC

if TYPE_CHECKING:
    import mmap

_INFO_LEN = 12  # bytes of struct module_signature


def split_signature(data: bytes | mmap.mmap) -> tuple[bytes | memoryview, bytes | None]:
    """The ELF file, and its signature with all that belongs to it; ElfError if it is damaged.

    A module may have several signatures, of which the kernel checks the last.
    """
    end = len(data)
    while data[max(0, end - len(SIGNATURE_MAGIC)) : end] == SIGNATURE_MAGIC:
        end = _signature_start(data, end)
    # a slice of a mapping would be a copy
    elf = data[:end] if isinstance(data, bytes) else memoryview(data)[:end]
    return elf, data[end:] or None


def _signature_start(data: bytes | mmap.mmap, end: int) -> int:
    info_at = end - len(SIGNATURE_MAGIC) - _INFO_LEN
    if info_at < 0:
        raise ElfError("the module signature is truncated")
    sig_len = int.from_bytes(data[info_at + 8 : info_at + 12], "big")
    if sig_len > info_at:
        raise ElfError(f"module signature of {sig_len} bytes reaches before the file")
    return info_at - sig_len
