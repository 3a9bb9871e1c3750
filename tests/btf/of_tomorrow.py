# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF with a kind that nobody knows yet."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbtf import BtfBuilder

NEW = 23


def first_of_new_kind(made: BtfBuilder) -> bytes:
    """What was built, where the first own type, a typedef, is of the new kind: nothing but a head.

    A layout gives its size.
    """
    order = ">" if made.byte_order == "big" else "<"
    blob = bytearray(made.to_bytes())
    struct.pack_into(f"{order}I", blob, 24 + 4, NEW << 24)
    type_len, _, str_len = struct.unpack_from(f"{order}3I", blob, 12)
    layout = bytes(4 * (NEW + 1))
    places = (0, type_len, type_len + len(layout), str_len, type_len, len(layout))
    header = blob[:4] + struct.pack(f"{order}7I", 32, *places)
    return bytes(header + blob[24 : 24 + type_len] + layout + blob[24 + type_len :])
