# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF without the types of unknown kinds, so that everything else can be written as C."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.btf import Btf
from kbtf.btf.builder import BtfBuilder
from kbtf.btf.dump.c.names import identifier
from kbtf.btf.kinds import COMPOSITES, KINDS, MODIFIERS, Kind, is_known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import BtfType

# All that matters of what replaces a type is that no header has it.
_NOT_WRITTEN = Kind.VAR
_NOT_WRITTEN_WORDS = (0,)


class Expressible(NamedTuple):
    """What can be written, and what cannot."""

    btf: Btf
    """The same ids, where the types that need an unknown kind are void."""
    unknown: list[str]
    """The unknown kinds."""
    left_out: list[str]
    """Members and typedefs, in words that may be in a comment."""


def expressible(btf: Btf) -> Expressible:
    """*btf* without the types that C cannot express because their kind is unknown.

    Members of such a type are left out, so that structs have gaps in their place.  Pointers to it
    are pointers to void.
    """
    if not _has_unknown(btf):
        return Expressible(btf, [], [])
    opaque = _opaque(btf)
    kinds = sorted({t.kind for t in _all(btf) if not is_known(t.kind)})
    left_out = list(_left_out(btf, opaque))
    return Expressible(_without(btf, opaque), [kind.name for kind in kinds], left_out)


def _has_unknown(btf: Btf | None) -> bool:
    return btf is not None and (bool(btf.index.unknown_id) or _has_unknown(btf.base))


def _all(btf: Btf) -> Iterator[BtfType]:
    if btf.base is not None:
        yield from _all(btf.base)
    yield from btf


def _opaque(btf: Btf) -> set[int]:
    """The types that cannot be written: those of an unknown kind, and what is made of them."""
    users: dict[int, list[int]] = {}
    opaque: set[int] = set()
    todo: list[int] = []
    for t in _all(btf):
        if not is_known(t.kind):
            todo.append(t.id)
        elif t.kind in MODIFIERS or t.kind in (Kind.ARRAY, Kind.FUNC_PROTO, Kind.FUNC):
            for child in t.children:
                users.setdefault(child, []).append(t.id)
    while todo:
        type_id = todo.pop()
        if type_id not in opaque:
            opaque.add(type_id)
            todo += users.get(type_id, ())
    return opaque


def _left_out(btf: Btf, opaque: set[int]) -> Iterator[str]:
    for t in _all(btf):
        if t.id in opaque and t.kind is Kind.TYPEDEF:
            yield f"typedef {identifier(t.name)}"
        elif t.kind in COMPOSITES:
            owner = identifier(t.name) if t.name else f"[{t.id}]"
            for member in t.members:
                if member.type in opaque:
                    yield f"member {identifier(member.name)} of {t.keyword} {owner}"


def _without(btf: Btf, opaque: set[int]) -> Btf:
    base = None if btf.base is None else _without(btf.base, opaque)
    made = BtfBuilder(base, btf.byte_order)
    for t in btf:
        if t.id in opaque:
            made.add(_NOT_WRITTEN, words=_NOT_WRITTEN_WORDS)
        elif t.kind is Kind.PTR and t.size_or_type in opaque:
            made.add_ref(Kind.PTR, 0)
        elif t.kind in COMPOSITES:
            made.add_copy(_without_members(t, opaque))
        else:
            made.add_copy(t)
    return made.build()


def _without_members(t: BtfType, opaque: set[int]) -> BtfType:
    size = KINDS[t.kind].item_words
    items = [t.words[at : at + size] for at in range(0, len(t.words), size)]
    kept = [item for item in items if item[1] not in opaque]
    return t._replace(vlen=len(kept), words=tuple(word for item in kept for word in item))
