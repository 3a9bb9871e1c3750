# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Update resolved ids when their types get new ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.errors import BtfIdsError
from kbtf.ids.btf_ids import read_ids
from kbtf.ids.resolve import ids_mismatch, rewrite_ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbtf.btf.btf import Btf
    from kbtf.elf.module import Module


def move_ids(module: Module, old: Btf, new_id: Callable[[int], int]) -> None:
    """Replace the ids in ``.BTF_ids`` that are resolved against *old* by their new values.

    BtfIdsError if they are resolved against other BTF.
    """
    ids = read_ids(module.image)
    if ids is None or not ids.is_resolved:
        return
    why = ids_mismatch(ids, old)
    if why:
        raise BtfIdsError(
            f"is not resolved against {module.found_base.source}: {why}",
            file=module.path,
            where=".BTF_ids",
            hint="name the base of resolve_btfids with --base, or relink the module",
        )
    moved = rewrite_ids(ids, new_id)
    module.btf_ids = moved.ids.to_bytes()
    for warning in moved.warnings:
        module.warn(f".BTF_ids: {warning}")
