"""A module's BTF on the vmlinux that it was built for, whatever it carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf import _native
from kbtf.btf.btf import Btf
from kbtf.btf.relocate import relocate
from kbtf.elf.module import located

if TYPE_CHECKING:
    from kbtf.elf.module import Module


def plain_on(module: Module, base: Btf) -> Btf | None:
    """Plain split BTF on *base*: as the module has it, or relocated; None if it has none.

    BtfError if *base* is not the one that the module was built for.
    """
    data = module.image.data(".BTF")
    if not data:
        return None
    with located(module.path, ".BTF"):
        if module.has_btf_base and module.btf is not None:
            return relocate(module.btf, base)
        split = Btf.parse(data, base)
        _native.check_fit(split.index)
        return split
