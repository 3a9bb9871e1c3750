# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whether a kernel loads a module by its vermagic, which it compares before looking at BTF.

Source: same_magic() in kernel/module/version.c and main.c.
"""

from __future__ import annotations


def accepts(kernel: str, module: str, *, has_versions: bool) -> bool:
    """Whether a kernel with the vermagic *kernel* accepts that of a module.

    *kernel* may be a release alone, if nothing else is known.  The release does not matter if both
    have symbol versions, which are compared instead.
    """
    release, _, words = kernel.partition(" ")
    made_for, _, its_words = module.partition(" ")
    return (made_for == release or has_versions) and words in ("", its_words)
