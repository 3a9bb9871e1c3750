"""What a kernel can do with the BTF of its modules, told from its own BTF and not its version."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf


class ModuleBtf(Enum):
    """What the kernel of a base does with ``.BTF`` and ``.BTF.base`` of a module."""

    RELOCATES = "relocates"
    """It knows distilled bases (commit 8646db238997, in 6.11)."""
    EXACT = "exact"
    """It takes split BTF made for exactly this build, and misreads any other."""
    NONE = "none"
    """It takes no module BTF (built without CONFIG_DEBUG_INFO_BTF_MODULES)."""


@lru_cache(maxsize=4)  # asked for each module, of the same few bases
def module_btf_support(base: Btf) -> ModuleBtf:
    """Look at the members of the kernel's ``struct module``."""
    module = base.find("module", Kind.STRUCT)
    members = {member.name for member in module.members} if module else set()
    if "btf_base_data" in members:
        return ModuleBtf.RELOCATES
    return ModuleBtf.EXACT if "btf_data" in members else ModuleBtf.NONE
