# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The phases that a module goes through, in order."""

from __future__ import annotations

from typing import NamedTuple


class Phase(NamedTuple):
    """A phase of processing a module; plugins do the work."""

    name: str
    hook: str
    uses: str
    """What a pass can use, in words."""
    in_kbuild: bool
    """Whether it also runs in the stand-ins for Kbuild's tools, which do the rest themselves."""
    elsewhere: bool
    """Whether it may run on another machine."""


# BTF is made from the linker's output.
AFTER_LINK = Phase(
    "after-link", "kbtf_after_link", "the linked module, its DWARF, the base", True, True
)
# Before ids are resolved, because distilling changes them.
DISTILL = Phase(
    "distill", "kbtf_distill", "the split BTF, the base", in_kbuild=True, elsewhere=True
)
# Against the final BTF.
RESOLVE_BTFIDS = Phase(
    "resolve-btfids", "kbtf_resolve_btfids", "the final BTF, `.BTF_ids`", False, True
)
# Needs the results of all others.
EMBED_SECTIONS = Phase(
    "embed-sections", "kbtf_embed_sections", "the image that is written", True, True
)
# The whole file, after which nothing may change: signing.
FINISH = Phase("finish", "kbtf_finish", "the whole file", in_kbuild=False, elsewhere=True)

MODULE_PHASES = (AFTER_LINK, DISTILL, RESOLVE_BTFIDS, EMBED_SECTIONS)
PHASES = (*MODULE_PHASES, FINISH)
