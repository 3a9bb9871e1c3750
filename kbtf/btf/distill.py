# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Distill split BTF: replace the whole vmlinux by a small base of its own."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from kbtf.btf.btf import Btf
from kbtf.native import _native


class Distilled(NamedTuple):
    """The result of distilling split BTF."""

    base: Btf
    """The distilled base, for ``.BTF.base``."""
    split: Btf
    """The split BTF on that base, for ``.BTF``."""
    ids: dict[int, int]
    """New ids of the base types that the split reaches, by old id."""
    shift: int
    """By how much the ids of the split's own types decreased."""

    def new_id(self, old: int) -> int:
        """The new id of the type that had the id *old*; 0 if neither part has it."""
        if old >= self.split.start_id + self.shift:
            return old - self.shift
        return self.ids.get(old, 0)


def distill(split: Btf) -> Distilled:
    """Distill *split* as libbpf's btf__distill_base() does, byte for byte.

    Both results have 24-byte headers and the byte order of *split*.  BtfError if *split* has no
    base, or refers to a FUNC, VAR, DATASEC or DECL_TAG of it.
    """
    base_bytes, split_bytes, kept, moved = _native.distill(split.index)
    base = Btf.parse(base_bytes)
    new_split = Btf.parse(split_bytes, base)
    ids = dict(zip(array("I", kept), range(1, base.end_id), strict=True))
    first_moved = base.end_id + len(split)
    ids.update(zip(array("I", moved), range(first_moved, new_split.end_id), strict=True))
    return Distilled(base, new_split, ids, split.start_id - base.end_id)
