# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""INT and FLOAT in C: their names, and their alignment on different machines.

A name is kept only if it means the same size everywhere; ``long double`` and ``_Float128`` differ
between machines, so they become bytes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.kinds import Kind

if TYPE_CHECKING:
    from kbtf.btf.btf import BtfType

_INTS = {1: "char", 2: "short", 4: "int", 8: "long long", 16: "__int128"}
_FLOATS = {4: "float", 8: "double"}
_SIZES = {"_Bool": 1, "char": 1, "short": 2, "": 4, "long long": 8, "float": 4, "double": 8}
_WITH_INT = ("short", "", "long", "long long")
_WITHOUT_SIGN = ("_Bool", "float", "double")
_LARGEST = 16


class Alignment(NamedTuple):
    """In bytes, inside structs: the least and the greatest on machines with a given pointer size.

    i386 aligns 8 bytes to 4, other 32-bit machines to 8; s390x aligns 16 bytes to 8, others to 16.
    """

    low: int
    high: int


BYTES = Alignment(1, 1)


def alignment(t: BtfType, pointer: int) -> Alignment:
    """The alignment of an INT or FLOAT as it is written: an array of bytes has none."""
    size = t.size_or_type
    if not is_c_number(t, pointer):
        return BYTES
    return Alignment(min(size, pointer), size)


def is_c_number(t: BtfType, pointer: int) -> bool:
    """Whether C has a number of that size on every machine with such pointers."""
    if t.kind is Kind.FLOAT:
        return t.size_or_type in _FLOATS
    return t.size_or_type in _INTS and t.size_or_type <= 2 * pointer


def is_c_name(t: BtfType, pointer: int) -> bool:
    """Whether the name of an INT or FLOAT is that of a C type of the same size."""
    if (t.kind is Kind.FLOAT) != (t.name in _FLOATS.values()):
        return False
    return is_c_number(t, pointer) and _size_of_words(t.name, pointer) == t.size_or_type


def is_bool(t: BtfType) -> bool:
    """Whether C writes an INT as _Bool."""
    encoding = t.int_encoding
    if encoding is None or t.size_or_type != 1:
        return False
    return encoding.bool or t.name == "_Bool"


def _size_of_words(name: str, pointer: int) -> int | None:
    """The size of the C type *name*, its words in any order; None if it is not a C type."""
    words = Counter(name.split(" "))
    sign = words.pop("signed", 0) + words.pop("unsigned", 0)
    number = words.pop("int", 0)
    main = " ".join(words.elements())
    if sign > 1 or number > 1 or (number and main not in _WITH_INT):
        return None
    if (sign and main in _WITHOUT_SIGN) or not (sign or number or main):
        return None
    if main == "long":
        return pointer
    return _LARGEST if main == "__int128" else _SIZES.get(main)


def alias(t: BtfType, pointer: int) -> str:
    """A C type for an INT or FLOAT whose name C does not know, such as arm64's __Poly8_t."""
    size = t.size_or_type
    if not is_c_number(t, pointer):
        return f"struct {{ unsigned char bytes[{size}]; }}"
    encoding = t.int_encoding
    if encoding is None:
        return _FLOATS[size]
    if is_bool(t):
        return "_Bool"
    return f"{'signed' if encoding.signed else 'unsigned'} {_INTS[size]}"
