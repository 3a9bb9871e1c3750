# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A module's BTF as plain split BTF on the vmlinux that it was built for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.btf import Btf
from kbtf.btf.relocate import relocate
from kbtf.errors import located

if TYPE_CHECKING:
    from kbtf.elf.module import Module


def plain_on(module: Module, base: Btf) -> Btf | None:
    """Plain split BTF on *base*: the module's own, or relocated; None if it has none.

    BtfError if *base* is not the one that the module was built for.
    """
    data = module.image.data(".BTF")
    if not data:
        return None
    with located(module.path, ".BTF"):
        if module.has_btf_base and module.btf is not None:
            return relocate(module.btf, base)
        split = Btf.parse(data, base)
        split.check_fit()
        return split
