# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Structs of kfuncs that the kernel also has: to the verifier, the two are different types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import COMPOSITES, MODIFIERS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf, BtfType
    from kbtf.ids.btf_ids import BtfIds

_TRANSPARENT = MODIFIERS | {Kind.ARRAY}


def own_copies(split: Btf, ids: BtfIds, kernel: Btf) -> dict[int, BtfType]:
    """The structs and unions that kfuncs use and *kernel* has too, by id, with such a kfunc each.

    They are own types of *split*; a kfunc uses its arguments, its result, and what they point to.
    """
    copies: dict[int, BtfType] = {}
    for func in _kfuncs(ids, split):
        for found in _used_by(split, func):
            if found.id < split.start_id or not found.name:
                continue
            if kernel.find(found.name, found.kind) is not None:
                copies.setdefault(found.id, func)
    return copies


def _kfuncs(ids: BtfIds, split: Btf) -> Iterator[BtfType]:
    for name in sorted(ids.kfuncs):
        yield from (t for t in split.find_all(name, Kind.FUNC) if t.id >= split.start_id)


def _used_by(split: Btf, func: BtfType) -> Iterator[BtfType]:
    proto = split[func.size_or_type]
    for type_id in (proto.size_or_type, *(param.type for param in proto.params)):
        found = split.skip(type_id, _TRANSPARENT)
        if found.kind is Kind.PTR:
            found = split.skip(found.size_or_type, _TRANSPARENT)
        if found.kind in COMPOSITES:
            yield found
