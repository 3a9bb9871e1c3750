"""Gives out-of-tree modules a distilled base, where the kernel can relocate it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import (
    BtfBuilder,
    BtfError,
    BtfIdsError,
    Distilled,
    Kind,
    ModuleBtf,
    RelocationError,
    distill,
    hookimpl,
    ids_mismatch,
    module_btf_support,
    read_ids,
    relocate,
    rewrite_ids,
)

if TYPE_CHECKING:
    from kbtf import Btf, Config, Module, OptionGroup


@hookimpl
def kbtf_add_options(group: OptionGroup) -> None:
    group.add(
        "--distill",
        choices=("auto", "always", "never"),
        default="auto",
        help="give the module a distilled base: auto is for out-of-tree modules "
        "of kernels that can relocate it (default: auto)",
    )


@hookimpl
def kbtf_distill(module: Module, config: Config) -> None:
    if module.btf_base is not None:
        module.note("already distilled")
        return
    btf = module.btf
    if btf is None or not _wanted(module, config["distill"]):
        return
    distilled = distill(btf)
    if not len(distilled.base):
        distilled = _pin_a_type(distilled, module.base)
        module.note("refers to no type of the kernel; int is pinned in .BTF.base")
    try:
        relocate(distilled.split, module.base)
    except RelocationError as error:
        # Some types cannot be found by name even in the base that they come from.
        if config["distill"] == "always":
            raise
        module.warn(f"keeps plain split BTF, for its distilled BTF cannot be relocated: {error}")
        return
    _move_ids(module, btf, distilled)
    module.set_btf(distilled.split, distilled.base)


def _wanted(module: Module, mode: str) -> bool:
    if mode == "never":
        return False
    if mode == "auto" and module.intree:
        module.note("built in the kernel tree: keeps plain split BTF")
        return False
    support = module_btf_support(module.base)
    if support is ModuleBtf.RELOCATES:
        return True
    if support is ModuleBtf.EXACT:
        what = "this kernel cannot relocate BTF (before 6.11)"
    else:
        what = "this kernel takes no module BTF (CONFIG_DEBUG_INFO_BTF_MODULES is not set)"
    if mode == "always":
        module.warn(f"{what}; distilled all the same")
        return True
    module.warn(f"{what}: plain split BTF, good for exactly this build of the kernel")
    return False


def _pin_a_type(empty: Distilled, base: Btf) -> Distilled:
    """Put one type into an empty distilled base.

    The kernel counts void only with the first type, so that it would number the module's types
    from 0 (btf_relocate.c, 6.11 to 7.1).
    """
    pinned = base.find("int", Kind.INT)
    if pinned is None:
        raise BtfError("the base has no type int to pin in .BTF.base")
    new_base = BtfBuilder(byte_order=empty.split.byte_order)
    new_base.add_copy(pinned)
    built_base = new_base.build()
    new_split = BtfBuilder(built_base)
    shifted = {old: old + 1 for old in range(empty.split.start_id, empty.split.end_id)}
    for btf_type in empty.split:
        new_split.add_copy(btf_type, shifted)
    return Distilled(built_base, new_split.build(), {}, empty.shift - 1)


def _move_ids(module: Module, old: Btf, distilled: Distilled) -> None:
    """Ids that are already resolved follow their types."""
    ids = read_ids(module.image)
    if ids is None or not ids.is_resolved:
        return
    why = ids_mismatch(ids, old)
    if why:
        raise BtfIdsError(
            f"is not resolved against {module.found_base.source}: {why}",
            file=module.path,
            where=".BTF_ids",
            hint="name with --base what resolve_btfids was given, or link the module anew",
        )
    moved = rewrite_ids(ids, distilled.new_id)
    module.btf_ids = moved.ids.to_bytes()
    for warning in moved.warnings:
        module.warn(f".BTF_ids: {warning}")
