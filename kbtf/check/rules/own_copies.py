# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Structs of kfuncs that the kernel also has: to the verifier, the two are different types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.c_type_name import c_name
from kbtf.btf.deduplicate import deduplicate_with_ids
from kbtf.btf.kinds import COMPOSITES, Kind
from kbtf.check.uses import by_value
from kbtf.errors import BtfError
from kbtf.findings.loading import LOADING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf, BtfType
    from kbtf.check.kernel import Kernel
    from kbtf.findings.finding import Finding
    from kbtf.ids.btf_ids import BtfIds


def own_copies(
    ids: BtfIds | None, split: Btf, kernel: Kernel, on_kernel: Btf | None
) -> Iterator[Finding]:
    """A finding for each such struct; *on_kernel* is *split* on the BTF of the kernel."""
    copies: dict[int, BtfType] = {}
    for func in _kfuncs(ids, split):
        for type_id in _pointed_to(split, func.size_or_type):
            found = split[type_id]
            if type_id < split.start_id or not found.name:
                continue
            if kernel.btf.find(found.name, found.kind) is not None:
                copies.setdefault(type_id, func)
    repeated = _repeated(on_kernel) if copies and on_kernel is not None else set()
    for type_id, func in copies.items():
        yield LOADING.finding(
            "own-copy",
            "repeated" if type_id - split.start_id in repeated else "differs",
            type=c_name(split[type_id]),
            func=func.name,
            kernel=kernel.name,
        )


def _repeated(split: Btf) -> set[int]:
    """The indices of own types that deduplication would replace by the kernel's."""
    if split.base is None:
        return set()
    try:
        made = deduplicate_with_ids(split)
    except BtfError:
        return set()
    return {old.id - split.start_id for old in made.repeated()}


def _kfuncs(ids: BtfIds | None, split: Btf) -> list[BtfType]:
    if ids is None:
        return []
    names = {slot.name for s in ids.sets if s.is_set8 for slot in ids.slots_of(s)}
    return [t for name in sorted(names) if (t := split.find(name, Kind.FUNC)) is not None]


def _pointed_to(split: Btf, proto_id: int) -> Iterator[int]:
    """The structs and unions that a prototype has pointers to."""
    proto = split[proto_id]
    for at in (proto.size_or_type, *(param.type for param in proto.params)):
        pointer = split[by_value(split, at)]
        if pointer.kind is Kind.PTR:
            target = by_value(split, pointer.size_or_type)
            if split[target].kind in COMPOSITES:
                yield target
