# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF that no compiler makes: one rule of loading is at stake in each."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kbtf import BtfBuilder, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CRAFTED", "base_and_split"]

MANY = 70_000
"""More than 16 bits of vlen can count."""

Words = tuple[int, ...]


def base_and_split(name: str) -> tuple[bytes, bytes]:
    """What goes into .BTF.base and .BTF."""
    base = BtfBuilder(byte_order="little")
    base.add_int("int", 4, encoding=1)
    split = BtfBuilder(base.build())
    split.add_func("crafted", split.add_func_proto(1, [("a", 1)]))
    shape = CRAFTED[name](split)
    blob = split.to_bytes()
    return base.to_bytes(), shape(blob) if shape else blob


def tag_after(kind: Kind, name: str = "") -> Callable[[BtfBuilder], None]:
    """A TYPE_TAG that follows another modifier."""

    def add(split: BtfBuilder) -> None:
        split.add_ref(kind, split.add_ref(Kind.TYPE_TAG, 1, "user"), name)

    return add


def flagged(kind: Kind, target: int, *words: int) -> Callable[[BtfBuilder], None]:
    """A tag with kind_flag."""

    def add(split: BtfBuilder) -> None:
        split.add(kind, "address_space(1)", kind_flag=True, size_or_type=target, words=words)

    return add


def chain(length: int, *, upwards: bool) -> Callable[[BtfBuilder], None]:
    """So many modifiers, each of the one before it, or of the one after it."""

    def add(split: BtfBuilder) -> None:
        first = split.next_id
        for at in range(length):
            split.add_ref(Kind.CONST, first + at - 1 if upwards else first + at + 1)
        split.add_ref(Kind.PTR, 1)

    return add


def many(split: BtfBuilder) -> None:
    """An enum with more values than old kernels can count."""
    split.add_enum("many", 4, [(f"M{at}", at) for at in range(MANY)])


def named(length: int) -> Callable[[BtfBuilder], None]:
    """A function whose name has so many characters."""

    def add(split: BtfBuilder) -> None:
        split.add_func("f" * length, 3)

    return add


def header(length: int) -> Callable[[BtfBuilder], Callable[[bytes], bytes]]:
    """A longer header, whose last word is not zero."""

    def shape(blob: bytes) -> bytes:
        more = bytes(length - 28) + struct.pack("<I", 1)
        return blob[:4] + struct.pack("<I", length) + blob[8:24] + more + blob[24:]

    return lambda split: shape


def parts(*order: str) -> Callable[[BtfBuilder], Callable[[bytes], bytes]]:
    """A header of 32 bytes, and its parts in another order."""

    def shape(blob: bytes) -> bytes:
        type_len, str_off, _ = struct.unpack_from("<3I", blob, 12)
        strings = blob[24 + str_off :]
        content = {
            "types": blob[24 : 24 + type_len],
            "strings": strings + bytes(-len(strings) % 4),
            "layout": bytes(4 * 20),
        }
        places: dict[str, Words] = {"layout": (0, 0)}
        body = b""
        for part in order:
            places[part] = (len(body), len(content[part]))
            body += content[part]
        words = (*places["types"], *places["strings"], *places["layout"])
        return blob[:4] + struct.pack("<7I", 32, *words) + body

    return lambda split: shape


CRAFTED: dict[str, Callable[[BtfBuilder], Callable[[bytes], bytes] | None]] = {
    "nothing special": lambda split: None,
    "TYPE_TAG after CONST": tag_after(Kind.CONST),
    "TYPE_TAG after VOLATILE": tag_after(Kind.VOLATILE),
    "TYPE_TAG after TYPEDEF": tag_after(Kind.TYPEDEF, "mine"),
    "TYPE_TAG with kind_flag": flagged(Kind.TYPE_TAG, 1),
    "DECL_TAG with kind_flag": flagged(Kind.DECL_TAG, 3, 0xFFFFFFFF),
    "33 modifiers upwards": chain(33, upwards=True),
    "32 modifiers downwards": chain(32, upwards=False),
    "33 modifiers downwards": chain(33, upwards=False),
    "vlen above 65535": many,
    "a name of 512": named(512),
    "a name of 511": named(511),
    "a name of 513": named(513),
    "a header of 28 bytes": header(28),
    "a header of 32 bytes": header(32),
    "a header of 36 bytes": header(36),
    "a header of 40 bytes": header(40),
    "no layout": parts("types", "strings"),
    "a layout": parts("types", "layout", "strings"),
    "strings first": parts("strings", "types"),
    "the layout first": parts("layout", "types", "strings"),
    "the layout last": parts("types", "strings", "layout"),
}
