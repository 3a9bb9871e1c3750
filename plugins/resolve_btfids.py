# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Fills ``.BTF_ids`` from the BTF that the module will have.

A distilled base is always the base to resolve against, never vmlinux: the kernel relocates the ids
of kfunc sets together with the types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import BtfIdsError, hookimpl, ids_mismatch, read_ids, resolve_ids

if TYPE_CHECKING:
    from kbtf import Config, Module


@hookimpl
def kbtf_resolve_btfids(module: Module, config: Config) -> None:
    ids = read_ids(module.image)
    btf = module.btf
    if ids is None and _is_unresolved(module.btf_ids or b""):
        module.warn(
            ".BTF_ids: its symbols were stripped, so its ids cannot be resolved and the module's "
            "kfuncs do not work; relink it, and strip it only after kbtf"
        )
    if ids is None or btf is None:
        return
    for oddity in ids.oddities:
        module.warn(f".BTF_ids: {oddity}")
    if ids.is_resolved:
        why = ids_mismatch(ids, btf)
        if why:
            base = ".BTF.base" if module.has_btf_base else module.found_base.source
            raise BtfIdsError(
                f"is not resolved against {base}: {why}",
                file=module.path,
                where=".BTF_ids",
                hint="name the base of resolve_btfids with --base, or relink the module",
            )
        module.note(".BTF_ids: already resolved")
    else:
        resolution = resolve_ids(ids, btf)
        module.btf_ids = resolution.ids.to_bytes()
        for warning in resolution.warnings:
            module.warn(f".BTF_ids: {warning}")
    if module.has_btf_base:
        for name in ids.unrelocated_lists(module.image):
            module.warn(
                f".BTF_ids: list {name}: the kernel relocates the ids of kfunc sets, but not those "
                "of a list that the module reads itself"
            )


def _is_unresolved(contents: bytes) -> bool:
    """Whether the count of the first set, or the first id of a list, is not filled in yet."""
    return bool(contents) and not any(contents[:4])
