# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Gives out-of-tree modules a distilled base if the kernel can relocate it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import (
    BtfError,
    Distilled,
    Kind,
    ModuleBtf,
    RelocationError,
    distill,
    hookimpl,
    module_btf_support,
    move_ids,
    relocate,
)

if TYPE_CHECKING:
    from kbtf import Btf, Config, Module, OptionGroup


@hookimpl
def kbtf_add_options(group: OptionGroup) -> None:
    group.add(
        "--distill",
        choices=("auto", "always", "never"),
        default="auto",
        safe=True,
        help="add a distilled base (.BTF.base); auto adds it to out-of-tree modules if the kernel "
        "can relocate it (default: auto)",
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
        module.note("refers to no type of the kernel; .BTF.base gets int")
    try:
        relocate(distilled.split, module.base)
    except RelocationError as error:
        # Some types cannot be found by name even in their own base.
        if config["distill"] == "always":
            raise
        module.warn(f"keeps plain split BTF, because distilled BTF could not be relocated: {error}")
        return
    move_ids(module, btf, distilled.new_id)
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
        what = "this kernel accepts no module BTF (CONFIG_DEBUG_INFO_BTF_MODULES is not set)"
    if mode == "always":
        module.warn(f"{what}; distilled nevertheless")
        return True
    module.warn(f"{what}: plain split BTF, valid for this build of the kernel only")
    return False


def _pin_a_type(empty: Distilled, base: Btf) -> Distilled:
    """Put one type into an empty distilled base.

    The kernel counts void only along with the first type, so it would number the module's types
    from 0 (btf_relocate.c, 6.11 to 7.1).
    """
    from kbtf import BtfBuilder  # nearly every module refers to types of the kernel

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
