# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whether types of two BTFs are equivalent for compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import COMPOSITES, ENUMS, MODIFIERS, QUALIFIERS, TAGGED, Kind, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.btf.btf import Btf, BtfType

# Of the other kinds, only the kind, the size and the name count.
_WHOLE = MODIFIERS | {Kind.UNKN, Kind.PTR, Kind.FLOAT, Kind.FWD}

Pair = tuple[int, int]


class Same:
    """Compares types of *one* with types of *two*, by ids.

    Structs, unions, enums and typedefs are the same if they have the same name, regardless of their
    contents.  All else is compared by structure, typedefs of different names by their types.
    Qualifiers, type tags and names of parameters and integers do not count.
    """

    def __init__(self, one: Btf, two: Btf) -> None:
        self._one = one
        self._two = two
        self._equal: set[Pair] = set()

    def __call__(self, one: int, two: int) -> bool:
        met: set[Pair] = set()
        todo = [(one, two)]
        while todo:
            one, two = todo.pop()
            a, b = self._one.skip(one, QUALIFIERS), self._two.skip(two, QUALIFIERS)
            if a.kind is b.kind is Kind.TYPEDEF and a.name == b.name:
                continue
            a, b = self._one.skip(a.id), self._two.skip(b.id)
            pair = (a.id, b.id)
            if pair in met or pair in self._equal:
                continue
            # a cycle is equivalent unless something on it differs
            met.add(pair)
            inner = _compare(a, b)
            if inner is None:
                return False
            todo.extend(inner)
        self._equal |= met
        return True


def _compare(a: BtfType, b: BtfType) -> Iterable[Pair] | None:
    """The pairs that must be equivalent as well; None if these two are not."""
    if a.kind in TAGGED and b.kind in TAGGED and (a.name or b.name):
        return () if (a.keyword, a.name) == (b.keyword, b.name) else None
    if _shape(a) != _shape(b):
        return None
    return zip(_parts(a), _parts(b), strict=True)


def _shape(t: BtfType) -> tuple[object, ...]:
    """The properties that must be equal, without the types that it refers to."""
    if t.kind in COMPOSITES:
        members = tuple((m.name, m.offset, m.bit_size) for m in t.members)
        return (t.kind, t.size, members)
    if t.kind in ENUMS:
        return (Kind.ENUM, t.size, t.enumerators)
    if t.int_encoding is not None:
        # BTF has several names for one machine type, such as long and long long
        encoding = t.int_encoding._replace(char=False)
        return (t.kind, t.size, encoding)
    if t.kind is Kind.FUNC_PROTO:
        return (t.kind, tuple(bool(param.type) for param in t.params))
    if t.array is not None:
        return (t.kind, t.array.nelems)
    if t.kind in _WHOLE:
        return (t.kind, t.size, t.name)
    raise unknown(t.kind, "a comparison of types")


def _parts(t: BtfType) -> list[int]:
    return t.children if t.array is None else [t.array.type]
