# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The signature at the end of a module.  Source: include/linux/module_signature.h."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.errors import ElfError
from kbtf.files.compression import SIGNATURE_MAGIC

if TYPE_CHECKING:
    import mmap

_INFO_LEN = 12  # bytes of struct module_signature


class Signature(NamedTuple):
    """One or more signatures appended to a module; the kernel checks the last."""

    data: bytes
    """Everything after the end of the ELF file."""


def split_signature(data: bytes | mmap.mmap) -> tuple[bytes | memoryview, Signature | None]:
    """The ELF file and its signature; ElfError if a signature is damaged."""
    end = len(data)
    while data[max(0, end - len(SIGNATURE_MAGIC)) : end] == SIGNATURE_MAGIC:
        end = _signature_start(data, end)
    # a slice of a mapping would be a copy
    elf = data[:end] if isinstance(data, bytes) else memoryview(data)[:end]
    return elf, Signature(data[end:]) if end < len(data) else None


def _signature_start(data: bytes | mmap.mmap, end: int) -> int:
    info_at = end - len(SIGNATURE_MAGIC) - _INFO_LEN
    if info_at < 0:
        raise ElfError("the module signature is truncated")
    sig_len = int.from_bytes(data[info_at + 8 : info_at + 12], "big")
    if sig_len > info_at:
        raise ElfError(f"module signature of {sig_len} bytes reaches before the file")
    return info_at - sig_len
