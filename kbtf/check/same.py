"""Whether types of two BTFs are the same to compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind
from kbtf.check.spell import QUALIFIERS, TAGGED, skip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.btf.btf import Btf, BtfType

_COMPOSITE = (Kind.STRUCT, Kind.UNION)
_SEEN_THROUGH = QUALIFIERS | {Kind.TYPEDEF}

Pair = tuple[int, int]


class Same:
    """Compares types of *one* with types of *two*, by ids.

    Structs, unions, enums and typedefs are the same if they have the same name, whatever is in
    them.  All else is compared by its structure, typedefs of different names by what they name.
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
            pair = todo.pop()
            if pair in met or pair in self._equal:
                continue
            # a ring is the same if nothing on it tells otherwise
            met.add(pair)
            inner = self._compare(*pair)
            if inner is None:
                return False
            todo.extend(inner)
        self._equal |= met
        return True

    def _compare(self, one: int, two: int) -> Iterable[Pair] | None:
        """The pairs that are to be the same as well; None if these are not."""
        a, b = skip(self._one, one, QUALIFIERS), skip(self._two, two, QUALIFIERS)
        if a.kind is b.kind is Kind.TYPEDEF and a.name == b.name:
            return ()
        a, b = skip(self._one, a.id, _SEEN_THROUGH), skip(self._two, b.id, _SEEN_THROUGH)
        if a.kind in TAGGED and b.kind in TAGGED and (a.name or b.name):
            return () if (_tag(a), a.name) == (_tag(b), b.name) else None
        if _shape(a) != _shape(b):
            return None
        return zip(_parts(a), _parts(b), strict=True)


def _tag(t: BtfType) -> str:
    if t.kind in (Kind.ENUM, Kind.ENUM64):
        return "enum"
    is_union = t.kind_flag if t.kind is Kind.FWD else t.kind is Kind.UNION
    return "union" if is_union else "struct"


def _shape(t: BtfType) -> tuple[object, ...]:
    """What has to be equal, the types that it is made of left out."""
    if t.kind in _COMPOSITE:
        members = tuple((m.name, m.offset, m.bit_size) for m in t.members)
        return (t.kind, t.size, members)
    if t.kind in (Kind.ENUM, Kind.ENUM64):
        return (Kind.ENUM, t.size, t.enumerators)
    if t.int_encoding is not None:
        # BTF has several names for what is one to the machine, long and long long
        encoding = t.int_encoding._replace(char=False)
        return (t.kind, t.size, encoding)
    if t.kind is Kind.FUNC_PROTO:
        return (t.kind, tuple(bool(param.type) for param in t.params))
    if t.array is not None:
        return (t.kind, t.array.nelems)
    return (t.kind, t.size, t.name)


def _parts(t: BtfType) -> list[int]:
    if t.kind in _COMPOSITE:
        return [member.type for member in t.members]
    if t.kind is Kind.FUNC_PROTO:
        return [t.size_or_type, *(param.type for param in t.params)]
    if t.array is not None:
        return [t.array.type]
    return [t.size_or_type] if t.type is not None else []
