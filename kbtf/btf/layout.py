# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A layout: the section of BTF that gives the size of each kind, for readers that do not know it.

Linux 7.1 and later read it.  It lies between types and strings, behind a header of 32 bytes.
"""

from __future__ import annotations

import struct

from kbtf.btf.kinds import KINDS, Kind

__all__ = ["add_layout"]

_HEADER_WITH_LAYOUT = 32


def add_layout(blob: bytes, byte_order: str) -> bytes:
    """BTF without a layout with one, of the kinds that libbpf of Linux 7.3 knows."""
    order = ">" if byte_order == "big" else "<"
    start, type_off, type_len, _, str_len = struct.unpack_from(f"{order}4x5I", blob)
    types, strings = blob[start + type_off :][:type_len], blob[len(blob) - str_len :]
    layout = b"".join(map(_sizes, range(Kind.ENUM64 + 1)))
    end = type_len + len(layout)
    words = (_HEADER_WITH_LAYOUT, 0, type_len, end, str_len, type_len, len(layout))
    return blob[:4] + struct.pack(f"{order}7I", *words) + types + layout + strings


def _sizes(kind: int) -> bytes:
    """What follows the head of a type, what follows for each member, and no flags."""
    row = KINDS[kind]
    item = 4 * row.item_words
    once = 4 * row.tail_words + item * max(row.items, 0)
    return bytes([once, item if row.items < 0 else 0, 0, 0])
