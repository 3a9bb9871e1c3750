# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""How a module uses the types of its distilled base: by value or through pointers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.kinds import COMPOSITES, MODIFIERS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf, BtfType

_TRANSPARENT = MODIFIERS | {Kind.ARRAY}


class Use(NamedTuple):
    """A place in the module's own types that holds a type by value."""

    owner: BtfType
    what: str
    """``member 'x'``, ``parameter 'p'``, ``the result``, ``element``, ``variable``."""


def embedding(split: Btf, type_id: int) -> Use | None:
    """The first struct or union of *split* that has the type by value, and its member."""
    for owner in split:
        if owner.kind in COMPOSITES:
            for member in owner.members:
                if by_value(split, member.type) == type_id:
                    what = f"member '{member.name}'" if member.name else "an anonymous member"
                    return Use(owner, what)
    return None


def other_uses(split: Btf, type_ids: set[int]) -> dict[int, Use]:
    """Uses by value outside structs in *split*, for which the kernel does not compare sizes."""
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
    """The type behind typedefs, modifiers, tags and arrays, but not behind pointers."""
    return btf.skip(type_id, _TRANSPARENT).id
