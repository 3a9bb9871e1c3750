# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Deduplicate split BTF: keep one of each group of equal types, and none that the base has."""

from __future__ import annotations

import os
from array import array
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.btf import Btf
from kbtf.btf.kinds import COMPOSITES, ENUMS, Kind
from kbtf.errors import BtfError
from kbtf.native import _native

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import BaseIndex, BtfType, Data

_DEFINITIONS = COMPOSITES | ENUMS | {Kind.TYPEDEF}


class Deduplicated(NamedTuple):
    """The result of deduplicating split BTF."""

    split: Btf
    old: Btf
    ids: array[int]
    """New ids of the old types, in their order."""

    def new_id(self, old: int) -> int:
        """The new id of the type that had the id *old*; ids of the base stay."""
        return old if old < self.old.start_id else self.ids[old - self.old.start_id]

    def repeated(self) -> Iterator[BtfType]:
        """The old definitions, by name, that the base also has."""
        start = self.old.start_id
        for old_id, new_id in enumerate(self.ids, start):
            if new_id < start:
                old = self.old[old_id]
                if old.name and old.kind in _DEFINITIONS:
                    yield old


def index_base(base: Btf) -> BaseIndex:
    """The index that deduplication needs of *base*, built once; BtfError if *base* is split BTF."""
    if base.lookup is None:
        base.lookup = _native.index_base(base.index, int.from_bytes(os.urandom(8), "little"))
    return base.lookup


def open_index(base: Btf, image: Data) -> bool:
    """Use this image of an index for *base*; False if it is damaged or belongs to another base."""
    base.lookup = _native.open_base_index(base.index, image)
    return base.lookup is not None


def deduplicate(split: Btf) -> Btf:
    """Deduplicate *split* against its base, as the newest libbpf's btf__dedup() does.

    The result has a 24-byte header and the byte order of *split*.  BtfError if *split* has no base,
    if its types refer to one another in a way that C cannot express, or if it takes too many
    steps.
    """
    return deduplicate_with_ids(split).split


def deduplicate_with_ids(split: Btf) -> Deduplicated:
    """Like `deduplicate`, with the new id of each type."""
    if split.base is None:
        raise BtfError("is not split BTF; deduplication needs a base")
    blob, ids = _native.deduplicate(split.index, index_base(split.base))
    return Deduplicated(Btf.parse(blob, split.base), split, array("I", ids))
