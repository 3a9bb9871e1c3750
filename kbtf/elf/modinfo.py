# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``.modinfo``: a module's description of itself, such as its vermagic."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbtf.elf.image import ElfImage


def read_modinfo(image: ElfImage) -> dict[str, str]:
    """The key=value strings of ``.modinfo``, the first of each key."""
    info: dict[str, str] = {}
    for entry in (image.data(".modinfo") or b"").split(b"\0"):
        key, _, value = entry.decode("utf-8", "surrogateescape").partition("=")
        info.setdefault(key, value)
    return info
