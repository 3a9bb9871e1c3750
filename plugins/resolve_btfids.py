"""Fills ``.BTF_ids`` from the BTF that the module will carry.

With a distilled base that is the base to resolve against, never vmlinux: the kernel relocates the
ids of kfunc sets together with the types.
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
    if ids is None or btf is None:
        return
    if ids.is_resolved:
        why = ids_mismatch(ids, btf)
        if why:
            base = ".BTF.base" if module.has_btf_base else module.found_base.source
            raise BtfIdsError(
                f"is not resolved against {base}: {why}",
                file=module.path,
                where=".BTF_ids",
                hint="name with --base what resolve_btfids was given, or link the module anew",
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
