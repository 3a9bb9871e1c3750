"""Where a C compiler puts the members of a struct, and what it takes to make it agree with BTF.

BTF has no alignments and no padding.  Members keep the alignment that their types have in C; where
that contradicts an offset or a size, the struct must have been packed; where it leaves a member too
low, there was padding or a larger alignment, and padding is what is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.btf import Btf, BtfType, Member
from kbtf.btf.c_order import COMPOSITES, ENUMS
from kbtf.btf.kinds import Kind
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.c_order import Types

_LONGS = ("long unsigned int", "long int", "unsigned long", "long", "unsigned long int")
_MAX_BIT_PADS = 4
_BITS = {8: "char", 16: "short", 32: "int", 64: "long"}


class Measure(NamedTuple):
    """What a type takes in C, as it is written."""

    size: int
    align: int
    packed: bool = False


_NOTHING = Measure(0, 1)


class Padding(NamedTuple):
    """Unused bits between members: an unnamed bitfield or, if there are many, an array."""

    type: str
    bits: int
    array: bool


def pointer_size(btf: Btf) -> int:
    """That of the machine which the BTF is of: a long's; 8 if there is none."""
    for name in _LONGS:
        for t in btf.find_all(name, Kind.INT):
            if t.size in (4, 8):
                return t.size
    return 8


class Layout:
    """Sizes and alignments, which have to be added from the inside out."""

    def __init__(self, types: Types, pointer: int) -> None:
        self._types = types
        self._pointer = pointer
        self._max_align = 16 if pointer == 8 else pointer
        self._known: dict[int, Measure] = {}

    def __getitem__(self, type_id: int) -> Measure:
        # what cannot be a member, such as a prototype, is not added and has no size
        return self._known.get(type_id, _NOTHING)

    def add(self, t: BtfType) -> None:
        """Measure *t*; what it holds was added before."""
        self._known[t.id] = self._measure(t)

    def _measure(self, t: BtfType) -> Measure:
        kind = t.kind
        if kind in COMPOSITES:
            return self._measure_composite(t)
        if kind is Kind.PTR:
            return Measure(self._pointer, self._pointer)
        if kind is Kind.ARRAY:
            element = self[t.words[0]]
            return Measure(element.size * t.words[2], element.align)
        if kind in (Kind.INT, Kind.FLOAT) or kind in ENUMS:
            # x86 has long double in 12 bytes; everything else is aligned to its size
            lowest_bit = t.size_or_type & -t.size_or_type
            return Measure(t.size_or_type, min(max(lowest_bit, 1), self._max_align))
        return self[t.size_or_type]

    def _measure_composite(self, t: BtfType) -> Measure:
        align = 1
        packed = False
        for member in self.fields(t):
            size, member_align, _ = self[member.type]
            align = max(align, member_align)
            within = member.offset % (8 * member_align)
            # a bitfield lies within one unit of its type, anything else starts on its alignment
            packed |= within + member.bit_size > 8 * size if member.bit_size else within > 0
        packed |= t.size_or_type % align > 0
        return Measure(t.size_or_type, 1 if packed else align, packed)

    def fields(self, t: BtfType) -> Iterator[Member]:
        """The members that C can have: without a name only structs and unions."""
        for member in t.members:
            if member.name or self._types.behind_names(member.type).kind in COMPOSITES:
                yield member

    def parts(self, t: BtfType) -> Iterator[Member | Padding]:
        """What has to be written in a struct or union, in order, to give BTF's layout."""
        return self._struct_parts(t) if t.kind is Kind.STRUCT else self._union_parts(t)

    def _struct_parts(self, t: BtfType) -> Iterator[Member | Padding]:
        _, align, packed = self[t.id]
        at = 0
        for member in self.fields(t):
            if self._natural(at, member, packed) != member.offset:
                yield from _padding(at, member.offset, 8 * min(align, self._pointer))
            yield member
            at = member.offset + (member.bit_size or 8 * self[member.type].size)
        if _round_up(at, 8 * align) != 8 * t.size_or_type:
            yield from _padding(at, 8 * t.size_or_type, 8 * min(align, self._pointer))

    def _union_parts(self, t: BtfType) -> Iterator[Member | Padding]:
        align = self[t.id].align
        largest = 0
        for member in self.fields(t):
            yield member
            largest = max(largest, member.bit_size or 8 * self[member.type].size)
        if _round_up(largest, 8 * align) < 8 * t.size_or_type:
            yield Padding("unsigned char", 8 * t.size_or_type, True)

    def _natural(self, at: int, member: Member, packed: bool) -> int:
        """Where the compiler puts a member that follows bit *at*."""
        size, align, _ = self[member.type]
        if not member.bit_size:
            return _round_up(at, 8 if packed else 8 * align)
        if packed or at % (8 * align) + member.bit_size <= 8 * size:
            return at
        return _round_up(at, 8 * align)


def _padding(at: int, end: int, unit: int) -> Iterator[Padding]:
    """Bits from *at* to *end* in bitfields of at most *unit* bits.

    Larger ones than the struct's own alignment would raise it on some machines (AAPCS64).
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
