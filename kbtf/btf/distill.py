"""Distilling split BTF: a small base of its own instead of the whole vmlinux."""

from __future__ import annotations

from array import array

from kbtf.btf import _native
from kbtf.btf.btf import Btf
from kbtf.record import NamedTuple


class Distilled(NamedTuple):
    """What distilling makes of split BTF."""

    base: Btf
    """The distilled base, for ``.BTF.base``."""
    split: Btf
    """The split BTF on that base, for ``.BTF``."""
    ids: dict[int, int]
    """New ids of the base types that the split reaches, by old id."""
    shift: int
    """How much lower the ids of the split's own types are now."""

    def new_id(self, old: int) -> int:
        """The new id of what had the id *old*, 0 if it is in neither part."""
        if old >= self.split.start_id + self.shift:
            return old - self.shift
        return self.ids.get(old, 0)


def distill(split: Btf) -> Distilled:
    """Distil *split* as libbpf's btf__distill_base() does, byte for byte.

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
