# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Turn BTF on a distilled base back into plain split BTF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.relocate import relocate_with_ids
from kbtf.elf.files import read_module
from kbtf.elf.module import Module
from kbtf.errors import BtfIdsError, located
from kbtf.files.replace import replace_and_warn
from kbtf.ids.btf_ids import read_ids
from kbtf.ids.resolve import ids_mismatch, rewrite_ids
from kbtf.run.pipeline import check_output, pack

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf


def undistill(path: str, output: str, target: Btf, *, strip: bool = False) -> str:
    """Give the module *path* plain split BTF on *target*; the outcome.

    KbtfError leaves both files unchanged, for instance if a signature may not be stripped or
    *target* lacks a type.
    """
    raw = read_module(path)
    module = Module(raw, path)
    if not module.has_btf_base or module.btf is None:
        replace_and_warn(output, raw, like=path)
        return "no .BTF.base (unchanged)"
    module.require_unsigned(strip=strip)
    with located(path):
        relocation = relocate_with_ids(module.btf, target)
        ids = read_ids(module.image)
        if ids is not None and ids.is_resolved:
            why = ids_mismatch(ids, module.btf)
            if why:
                raise BtfIdsError(f"is not resolved against .BTF.base: {why}", where=".BTF_ids")
            module.btf_ids = rewrite_ids(ids, relocation.new_id).ids.to_bytes()
        module.set_section(".BTF", relocation.split.to_bytes())
        module.remove_section(".BTF.base")
        data = module.to_pieces()
        check_output(data, path)
    replace_and_warn(output, pack(data, module.compression), like=path)
    return f".BTF {len(relocation.split)} types, {len(relocation.split.to_bytes())} bytes"
