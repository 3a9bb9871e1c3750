# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Where a C compiler places the members of a struct, and how to make that agree with BTF.

BTF records no alignment, no padding and no machine.  Members keep the alignment that their types
have in C on any machine with pointers of that size.  If that contradicts an offset or a size, the
struct is packed; if a member would be placed too low on some machine, padding is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.btf import Btf, BtfType, Member
from kbtf.btf.dump.c.order import fault
from kbtf.btf.dump.c.scalars import Alignment, alignment, is_bool, is_c_number
from kbtf.btf.kinds import COMPOSITES, ENUMS, MODIFIERS, Kind, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.dump.c.order import Types

_LONGS = ("long unsigned int", "long int", "unsigned long", "long", "unsigned long int")
_MAX_BIT_PADS = 4
_MOST_SIZE = 2**64 - 1  # bytes; arrays of arrays can have any number
_BITS = {8: "char", 16: "short", 32: "int", 64: "long"}
_ENUM_SIZES = (1, 2, 4, 8)


class Measure(NamedTuple):
    """The size and alignment of a type in C, as it is written."""

    size: int
    align: Alignment
    packed: bool = False


class Padding(NamedTuple):
    """Unused bits between members: an unnamed bitfield or, if there are many, an array."""

    type: str
    bits: int
    array: bool


def pointer_size(btf: Btf) -> int:
    """The pointer size of the machine that the BTF is for: that of a long; 8 if there is none."""
    for name in _LONGS:
        for t in btf.find_all(name, Kind.INT):
            if t.size in (4, 8):
                return t.size
    return 8


class Layout:
    """Sizes and alignments; inner types must be added before outer ones."""

    def __init__(self, types: Types, pointer: int) -> None:
        self._types = types
        self._pointer = pointer
        # types that cannot be members, such as void or a declaration, are missing
        self._known: dict[int, Measure] = {}

    def __getitem__(self, type_id: int) -> Measure:
        return self._known[type_id]

    def add(self, t: BtfType) -> None:
        """Measure *t*, whose contents were added before.  BtfError if C cannot lay it out."""
        found = self._measure(t)
        if found is not None:
            self._known[t.id] = found

    def _measure(self, t: BtfType) -> Measure | None:
        kind = t.kind
        if kind in COMPOSITES:
            return self._measure_composite(t)
        if kind is Kind.PTR:
            return Measure(self._pointer, Alignment(self._pointer, self._pointer))
        if kind is Kind.ARRAY:
            element = self._known.get(t.words[0])
            if element is None:
                raise fault(t, "its elements have no size, which C does not allow")
            size = min(element.size * t.words[2], _MOST_SIZE)
            return element._replace(size=size, packed=False)
        if kind in (Kind.INT, Kind.FLOAT):
            return Measure(t.size_or_type, alignment(t, self._pointer))
        if kind in ENUMS:
            size = t.size_or_type
            if size not in _ENUM_SIZES:
                return None
            return Measure(size, Alignment(min(size, self._pointer), size))
        if kind in MODIFIERS:
            return self._known.get(t.size_or_type)
        if kind in (Kind.FWD, Kind.FUNC_PROTO):
            return None
        raise unknown(kind, "a dump as C")

    def _measure_composite(self, t: BtfType) -> Measure:
        members = self.fields(t)
        self._check(t, members)
        aligns = [self[member.type].align for member in members]
        low = max((align.low for align in aligns), default=1)
        high = max((align.high for align in aligns), default=1)
        size = t.size_or_type
        if size % high == 0 and all(map(self._is_in_place, members)):
            return Measure(size, Alignment(low, high))
        if size % low or any(m.offset % (8 * self[m.type].align.low) for m in members):
            low = 1
        return Measure(size, Alignment(low, low), packed=True)

    def _is_in_place(self, member: Member) -> bool:
        """A bitfield is within one unit of its type, anything else starts at its alignment."""
        size, (low, high), _ = self[member.type]
        within = member.offset % (8 * high)
        if member.bit_size:
            return low == high and within + member.bit_size <= 8 * size
        return within == 0

    def fields(self, t: BtfType) -> list[Member]:
        """The members that C can have, by offset: only structs and unions may be anonymous."""
        members = [
            member if t.kind_flag else self._old_bitfield(member)
            for member in t.members
            if member.name or self._types.behind_names(member.type).kind in COMPOSITES
        ]
        for member in members:
            if member.type not in self._known:
                raise fault(t, f"member '{member.name}' is of a type without a size")
        if t.kind is Kind.UNION:
            return members
        # of members at the same offset, those of size 0 come first
        return sorted(members, key=lambda member: (member.offset, self._bits(member) > 0))

    def _old_bitfield(self, member: Member) -> Member:
        """Without kind_flag, an INT with fewer bits than its size marks a bitfield."""
        t = self._types.behind_names(member.type)
        encoding = t.int_encoding
        if encoding is None or (not encoding.offset and encoding.bits == 8 * t.size_or_type):
            return member
        return member._replace(offset=member.offset + encoding.offset, bit_size=encoding.bits)

    def _bits(self, member: Member) -> int:
        return member.bit_size or 8 * self[member.type].size

    def _check(self, t: BtfType, members: list[Member]) -> None:
        end, before = 0, ""
        for member in members:
            if member.bit_size:
                self._check_bitfield(t, member)
            elif member.offset % 8:
                raise fault(t, f"member '{member.name}' starts inside of a byte")
            if t.kind is Kind.UNION and member.offset:
                raise fault(t, f"member '{member.name}' of a union is at bit {member.offset}")
            if t.kind is Kind.STRUCT and member.offset < end:
                what = f"members '{before}' and '{member.name}' overlap, as only those of a union "
                raise fault(t, f"{what}can in C")
            end, before = member.offset + self._bits(member), member.name
            if end > 8 * t.size_or_type:
                what = f"member '{member.name}' ends at bit {end}, past the {t.size_or_type} bytes "
                raise fault(t, f"{what}of its struct or union")

    def _check_bitfield(self, t: BtfType, member: Member) -> None:
        of = self._types.behind_names(member.type)
        widest = 1 if is_bool(of) else 8 * of.size_or_type
        is_number = of.kind is Kind.INT and is_c_number(of, self._pointer)
        if not (is_number or of.kind in ENUMS) or member.bit_size > widest:
            what = f"member '{member.name}' is a bitfield of {member.bit_size} bits in a "
            raise fault(t, f"{what}{of.kind.name} '{of.name}' of {of.size_or_type} bytes")

    def parts(self, t: BtfType) -> Iterator[Member | Padding]:
        """The members and padding to write, in order, for a struct or union with BTF's layout."""
        return self._struct_parts(t) if t.kind is Kind.STRUCT else self._union_parts(t)

    def _struct_parts(self, t: BtfType) -> Iterator[Member | Padding]:
        _, align, packed = self[t.id]
        unit = 8 * min(align.low, self._pointer)
        at = 0
        for member in self.fields(t):
            if any(place != member.offset for place in self._natural(at, member, packed)):
                yield from _padding(at, member.offset, unit)
            yield member
            at = member.offset + self._bits(member)
        if any(_round_up(at, 8 * one) != 8 * t.size_or_type for one in align):
            yield from _padding(at, 8 * t.size_or_type, unit)

    def _union_parts(self, t: BtfType) -> Iterator[Member | Padding]:
        largest = 0
        for member in self.fields(t):
            yield member
            largest = max(largest, self._bits(member))
        if any(_round_up(largest, 8 * one) < 8 * t.size_or_type for one in self[t.id].align):
            yield Padding("unsigned char", 8 * t.size_or_type, True)

    def _natural(self, at: int, member: Member, packed: bool) -> Iterator[int]:
        """The offset at which compilers place a member that follows bit *at*."""
        size, aligns, _ = self[member.type]
        for align in aligns:
            if packed:
                yield at if member.bit_size else _round_up(at, 8)
            elif member.bit_size and at % (8 * align) + member.bit_size <= 8 * size:
                yield at
            else:
                yield _round_up(at, 8 * align)


def _padding(at: int, end: int, unit: int) -> Iterator[Padding]:
    """Bits from *at* to *end* in bitfields of at most *unit* bits.

    Units above the struct's own alignment would raise it on some machines (AAPCS64).
    """
    while at < end:
        if at % 8 == 0 and end - at > _MAX_BIT_PADS * unit:
            yield Padding("unsigned char", (end - at) & ~7, True)
            at = end & ~7
            continue
        bits = min(8 - at % 8, end - at)
        if bits == 8:
            while 2 * bits <= unit and at % (2 * bits) == 0 and at + 2 * bits <= end:
                bits *= 2
        yield Padding(_BITS.get(bits, "char"), bits, False)
        at += bits


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
