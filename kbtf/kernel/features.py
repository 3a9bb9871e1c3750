# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A kernel's support for module BTF, derived from its own BTF rather than its version."""

from __future__ import annotations

from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING

from kbtf.btf.cached import once_a_btf
from kbtf.btf.kinds import Kind

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf

_SAMPLES = 500  # types to compare: so many are not in order by chance
_FEWEST = 100


class ModuleBtf(Enum):
    """What a kernel does with a module's ``.BTF`` and ``.BTF.base``."""

    RELOCATES = "relocates"
    """It knows distilled bases (commit 8646db238997, in 6.11)."""
    EXACT = "exact"
    """It accepts split BTF made for exactly this build, and misreads any other."""
    NONE = "none"
    """It accepts no module BTF (built without CONFIG_DEBUG_INFO_BTF_MODULES)."""


@once_a_btf
def module_btf_support(base: Btf) -> ModuleBtf:
    """Look at the members of the kernel's ``struct module``."""
    module = base.find("module", Kind.STRUCT)
    members = {member.name for member in module.members} if module else set()
    if "btf_base_data" in members:
        return ModuleBtf.RELOCATES
    return ModuleBtf.EXACT if "btf_data" in members else ModuleBtf.NONE


@once_a_btf
def sorts_types(base: Btf) -> bool:
    """Whether the kernel's types are sorted by name, as since 7.0.

    Kbuild of these kernels also runs the BTF-to-BTF step on modules: implicit arguments of kfuncs,
    their tags, deduplication.
    """
    ids = range(base.start_id, base.end_id, max(1, len(base) // _SAMPLES))
    if len(ids) < _FEWEST or not base[ids[-1]].name:
        return False
    return all(before <= name for before, name in pairwise(base[at].name for at in ids))
