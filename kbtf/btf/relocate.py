# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Relocate: turn module BTF on a distilled base into split BTF on a given kernel."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from kbtf.btf.btf import Btf, BtfType
from kbtf.btf.kinds import Kind
from kbtf.errors import RelocationError
from kbtf.native import _native
from kbtf.say import counted


class Relocation(NamedTuple):
    """The result of relocating split BTF."""

    split: Btf
    """The split BTF on the target."""
    ids: dict[int, int]
    """The target's ids, by id of the distilled base."""
    shift: int
    """By how much the ids of the split's own types increased."""

    def new_id(self, old: int) -> int:
        """The new id of the type that had the id *old*."""
        if old >= self.split.start_id - self.shift:
            return old + self.shift
        return self.ids.get(old, 0)


def relocate(split: Btf, target: Btf) -> Btf:
    """Move *split* from its distilled base onto *target*, as the kernel and libbpf do.

    The bytes are those of libbpf's btf__relocate(): the blob of *split*, header and byte order
    included, with other ids and name offsets.  RelocationError if *target* lacks a type that the
    distilled base asks for, or has several that fit; BtfError if *split* has no distilled base.
    """
    return relocate_with_ids(split, target).split


def relocate_with_ids(split: Btf, target: Btf) -> Relocation:
    """The same, and where each type of the distilled base was found."""
    result = _native.relocate(split.index, target.index, target.lookup)
    if result.split is None:
        raise _error(split, target, result)
    moved = Btf.parse(result.split, target)
    ids = dict(enumerate(array("I", result.ids)[1:], 1))
    return Relocation(moved, ids, moved.start_id - split.start_id)


def _error(split: Btf, target: Btf, result: _native.Relocated) -> RelocationError:
    reason, type_id = result.reason or "", result.type_id
    wanted = split[type_id]
    found = [target[at] for at in array("I", result.candidates)]
    if reason == "string":
        what = f"{wanted.kind.name} uses a string of the base that is no type's name"
        hint = "distill the module's BTF again"
    else:
        why = _explain(reason, wanted, found, split[result.owner_id])
        what = f"the module needs {_describe(wanted)}, {why}"
        hint = _hint(reason, wanted, found)
    culprit = split.string(result.name) if reason == "string" else wanted.name
    return RelocationError(
        what,
        where=f"type [{type_id}] '{culprit}'",
        hint=hint,
        type_id=type_id,
        kind=wanted.kind.name,
        name=culprit,
        size=wanted.size,
        candidates=tuple(t.id for t in found),
        reason=reason,
    )


def _explain(reason: str, wanted: BtfType, found: list[BtfType], owner: BtfType) -> str:
    """Why none of the types found, or more than one, matches the wanted type."""
    listed = " and ".join(f"[{t.id}] {_describe(t)}" for t in found)
    if reason == "missing":
        return "the target has no type of that name"
    if reason == "ambiguous":
        return f"the target has two that fit: {listed}"
    if reason == "embedded":
        within = f"'{owner.name}'" if owner.name else f"a nameless {owner.kind.name}"
        return f"embedded by value in {within}, the target has {listed}"
    if reason == "encoding":
        return f"the target has {listed} of another encoding"
    if len(found) > 1:
        return f"the target has several of that name and none that fits: {listed}"
    return f"the target has {listed}"


def _hint(reason: str, wanted: BtfType, found: list[BtfType]) -> str:
    if reason == "ambiguous":
        return "the kernel cannot tell which is meant, use split BTF that is not distilled"
    # The kernel compares "is a union" of a FWD with "has bitfields" of a struct or union, and its
    # size, 0, with theirs if there are several (btf_relocate.c): rebuilding changes nothing.
    full = Kind.UNION if wanted.kind_flag else Kind.STRUCT
    if wanted.kind is Kind.FWD and any(t.kind is full for t in found):
        return "the kernel does not match these, use split BTF that is not distilled"
    return "build the module for that kernel"


def _describe(t: BtfType) -> str:
    if t.kind is Kind.FWD:
        return f"FWD of a {'union' if t.kind_flag else 'struct'}"
    return f"{t.kind.name} of {counted(t.size or 0, 'byte')}"
