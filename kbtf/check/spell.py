"""Types in the words of C, as far as a line of text has room for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind
from kbtf.check.uses import c_name

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, BtfType

QUALIFIERS = frozenset({Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG})
TAGGED = frozenset({Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FWD})
_MOST_STEPS = 32
_MOST_PARAMS = 16
_MOST_NESTED = 3


def skip(btf: Btf, type_id: int, kinds: frozenset[Kind]) -> BtfType:
    """The first type of another kind behind a chain of *kinds*; void where the chain is a ring."""
    seen: set[int] = set()
    at = btf[type_id]
    while at.kind in kinds:
        if at.id in seen:
            return btf[0]
        seen.add(at.id)
        at = btf[at.size_or_type]
    return at


def counted(number: int, noun: str) -> str:
    """``1 byte``, ``2 bytes``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def spell(btf: Btf, type_id: int, nested: int = 0) -> str:
    """A type as C writes it, without qualifiers: ``int (*)(struct device *)``."""
    declarator = ""
    for _ in range(_MOST_STEPS):
        at = skip(btf, type_id, QUALIFIERS)
        if at.kind is Kind.PTR:
            declarator = "*" + declarator
        elif at.array is not None:
            declarator = f"{_grouped(declarator)}[{at.array.nelems}]"
            type_id = at.array.type
            continue
        elif at.kind is Kind.FUNC_PROTO:
            declarator = f"{_grouped(declarator)}({_params(at, nested)})"
        else:
            return _word(at) + (" " if declarator.startswith(("(", "*")) else "") + declarator
        type_id = at.size_or_type
    return f"... {declarator}"


def _grouped(declarator: str) -> str:
    return f"({declarator})" if declarator.startswith("*") else declarator


def _params(proto: BtfType, nested: int) -> str:
    if nested == _MOST_NESTED:
        return "..."
    spelt = [
        spell(proto.btf, param.type, nested + 1) if param.type else "..."
        for param in proto.params[:_MOST_PARAMS]
    ]
    return ", ".join(spelt + ["..."] * (len(proto.params) > _MOST_PARAMS)) or "void"


def _word(at: BtfType) -> str:
    if at.kind in TAGGED and not at.name:
        return f"{c_name(at).split()[0]} {{...}}"
    return c_name(at)
