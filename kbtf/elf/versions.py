# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The symbols that a module imports, and the versions it was built with.

Source: check_version() in kernel/module/version.c; scripts/mod/modpost.c of 6.12 and 6.14, which
added versions of long names.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kbtf.elf.format import SHN_UNDEF

if TYPE_CHECKING:
    from kbtf.elf.image import ElfImage

_STB_WEAK = 2
_NAME = {64: 56, 32: 60}
"""Bytes of a name in ``struct modversion_info``, which has 64 with the CRC."""
_NOT_EXPORTED = ("", "_GLOBAL_OFFSET_TABLE_", ".TOC.")


def undefined_symbols(image: ElfImage) -> list[str]:
    """Symbols that the kernel or another module must export; weak symbols need not be."""
    return [
        symbol.name
        for symbol in image.symbols(SHN_UNDEF)
        if symbol.info >> 4 != _STB_WEAK and symbol.name not in _NOT_EXPORTED
    ]


def symbol_versions(image: ElfImage) -> dict[str, int]:
    """The CRC of each symbol; none without CONFIG_MODVERSIONS.  Damaged entries are left out."""
    found = _extended(image)
    word = "Q" if image.bits == 64 else "I"
    entry = struct.Struct(f"{_order(image)}{word}{_NAME[image.bits]}s")
    data = bytes(image.data("__versions") or b"")
    for crc, name in entry.iter_unpack(data[: len(data) // entry.size * entry.size]):
        found[_text(name.partition(b"\0")[0])] = crc & 0xFFFFFFFF
    found.pop("", None)
    return found


def _extended(image: ElfImage) -> dict[str, int]:
    crcs = bytes(image.data("__version_ext_crcs") or b"")
    names = bytes(image.data("__version_ext_names") or b"").split(b"\0")
    numbers = struct.unpack(f"{_order(image)}{len(crcs) // 4}I", crcs[: len(crcs) // 4 * 4])
    return dict(zip(map(_text, names), numbers, strict=False))


def _order(image: ElfImage) -> str:
    return "<" if image.byte_order == "little" else ">"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
