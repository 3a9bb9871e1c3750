# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Types as the verifier sees them, for the rules on prototypes of kfuncs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import COMPOSITES, SCALARS, Kind

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, BtfType

ITERATOR = "bpf_iter_"
_DEEPEST = 3
# The verifier has types of its own for them, with or without a size.
_CONTEXTS = {"__sk_buff", "pt_regs", "sk_msg_md", "sk_reuseport_md", "user_pt_regs", "xdp_md"}
_OF_BPF = "bpf_"


def pointee(btf: Btf, type_id: int) -> BtfType | None:
    """The pointee; None if the type is not a pointer."""
    pointer = btf.skip(type_id)
    return btf.skip(pointer.size_or_type) if pointer.kind is Kind.PTR else None


def is_scalar(btf: Btf, type_id: int) -> bool:
    """An integer or an enum."""
    return btf.skip(type_id).kind in SCALARS


def is_named_struct(target: BtfType | None, name: str) -> bool:
    """*target* is ``struct name``."""
    return target is not None and target.kind is Kind.STRUCT and target.name == name


def is_iterator(target: BtfType | None) -> bool:
    """*target* is a ``struct bpf_iter_<type>``."""
    return target is not None and target.kind is Kind.STRUCT and target.name.startswith(ITERATOR)


def is_memory(target: BtfType, nested: int = 0) -> bool:
    """Whether all of *target* is scalars: __btf_type_is_scalar_struct()."""
    if target.kind not in COMPOSITES:
        return target.kind in (Kind.UNKN, *SCALARS)
    btf = target.btf
    for member in target.members:
        inner = btf.skip(member.type)
        if inner.array is not None:
            if not inner.array.nelems or not is_scalar(btf, inner.array.type):
                return False
        elif inner.kind in COMPOSITES:
            if nested == _DEEPEST or not is_memory(inner, nested + 1):
                return False
        elif inner.kind not in SCALARS:
            return False
    return True


def is_special(target: BtfType) -> bool:
    """A struct that is more to the verifier than its bytes."""
    return target.name in _CONTEXTS or target.name.startswith(_OF_BPF)
