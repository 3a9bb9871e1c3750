"""Types as the verifier looks at them, for the rules that prototypes of kfuncs are held to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind
from kbtf.check.spell import QUALIFIERS, skip

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, BtfType

SCALARS = (Kind.INT, Kind.ENUM, Kind.ENUM64)
COMPOSITES = (Kind.STRUCT, Kind.UNION)
ITERATOR = "bpf_iter_"
_MODIFIERS = QUALIFIERS | {Kind.TYPEDEF}


def unwrap(btf: Btf, type_id: int) -> BtfType:
    """The type behind modifiers, type tags and typedefs."""
    return skip(btf, type_id, _MODIFIERS)


def pointee(btf: Btf, type_id: int) -> BtfType | None:
    """What a pointer points to; None if the type is no pointer."""
    pointer = unwrap(btf, type_id)
    return unwrap(btf, pointer.size_or_type) if pointer.kind is Kind.PTR else None


def is_scalar(btf: Btf, type_id: int) -> bool:
    """An integer or an enum."""
    return unwrap(btf, type_id).kind in SCALARS


def is_named_struct(target: BtfType | None, name: str) -> bool:
    """*target* is ``struct name``."""
    return target is not None and target.kind is Kind.STRUCT and target.name == name


def is_iterator(target: BtfType | None) -> bool:
    """*target* is a ``struct bpf_iter_<type>``."""
    return target is not None and target.kind is Kind.STRUCT and target.name.startswith(ITERATOR)
