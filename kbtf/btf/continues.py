# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Which kind of base split BTF continues, judged without that base."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kbtf.btf.kinds import KINDS

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, Data

_HEADER = struct.Struct("=IIIII")
_HEAD = struct.Struct("=III")


def continues_distilled(split: Data, vmlinux: Btf) -> bool:
    """Whether *split* continues a base far smaller than *vmlinux*: a distilled one.

    Its names start where the strings of its base end: after a few kilobytes in a distilled base,
    after megabytes in a vmlinux.  False for anything that is not BTF of this machine's byte order.
    """
    try:
        header, type_off, type_len, _, str_len = _HEADER.unpack_from(split, 4)
        highest = _highest_name(split, header + type_off, header + type_off + type_len)
    except (struct.error, IndexError):
        return False
    limit: int = len(vmlinux.all_strings()) // 2 + str_len
    return 0 < highest < limit


def _highest_name(split: Data, at: int, end: int) -> int:
    highest = 0
    while at < end:
        name, info, _ = _HEAD.unpack_from(split, at)
        highest = max(highest, name)
        row = KINDS[info >> 24 & 0x7F]
        items = info & 0xFFFFFF if row.items < 0 else row.items
        at += _HEAD.size + 4 * (items * row.item_words + row.tail_words)
    return highest
