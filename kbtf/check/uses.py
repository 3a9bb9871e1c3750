"""How a module uses the types of its distilled base: by value or through pointers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf, BtfType

_LONGEST = 1000  # of a chain; kernels refuse more than 32 modifiers, and a ring has no end
_COMPOSITE = (Kind.STRUCT, Kind.UNION)
_SEEN_THROUGH = (Kind.TYPEDEF, Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG)
_WORDS = {
    Kind.STRUCT: "struct",
    Kind.UNION: "union",
    Kind.ENUM: "enum",
    Kind.ENUM64: "enum",
    Kind.FWD: "struct",
}


class Use(NamedTuple):
    """A place in the module's own types that holds a type by value."""

    owner: BtfType
    what: str
    """``member 'x'``, ``parameter 'p'``, ``the result``, ``element``, ``variable``."""


def c_name(btf_type: BtfType) -> str:
    """A type as a C programmer calls it: ``struct device``."""
    word = _WORDS.get(btf_type.kind)
    if btf_type.kind is Kind.FWD and btf_type.kind_flag:
        word = "union"
    name = btf_type.name or "(anonymous)"
    return f"{word} {name}" if word else name


def embedding(split: Btf, type_id: int) -> Use | None:
    """The first struct or union of *split* that has the type by value, and its member."""
    for owner in split:
        if owner.kind in _COMPOSITE:
            for member in owner.members:
                if by_value(split, member.type) == type_id:
                    what = f"member '{member.name}'" if member.name else "an anonymous member"
                    return Use(owner, what)
    return None


def other_uses(split: Btf, type_ids: set[int]) -> dict[int, Use]:
    """Where *split* has types by value outside of structs: the kernel does not compare sizes."""
    found: dict[int, Use] = {}
    for owner in split:
        for what, at in _values_of(owner):
            target = by_value(split, at)
            if target in type_ids:
                found.setdefault(target, Use(owner, what))
    return found


def _values_of(owner: BtfType) -> Iterator[tuple[str, int]]:
    if owner.kind is Kind.FUNC_PROTO:
        yield "the result", owner.size_or_type
        for param in owner.params:
            yield f"parameter '{param.name}'", param.type
    elif owner.kind is Kind.VAR:
        yield "variable", owner.size_or_type
    elif owner.kind is Kind.TYPEDEF:
        yield "typedef", owner.size_or_type
    elif owner.array is not None:
        yield "element", owner.array.type


def by_value(btf: Btf, type_id: int) -> int:
    """The type behind typedefs, modifiers, tags and arrays; a pointer is where this ends."""
    for _ in range(_LONGEST):
        btf_type = btf[type_id]
        if btf_type.kind in _SEEN_THROUGH:
            type_id = btf_type.size_or_type
        elif btf_type.array is not None:
            type_id = btf_type.array.type
        else:
            break
    return type_id
