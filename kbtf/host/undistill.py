"""The way back from a distilled base to plain split BTF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.relocate import relocate_with_ids
from kbtf.btf_ids import ids_mismatch, read_ids, rewrite_ids
from kbtf.elf.module import Module, located, read_file
from kbtf.elf.write import replace_file
from kbtf.errors import BtfIdsError
from kbtf.host.pipeline import check_output, pack

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf


def undistill(path: str, output: str, target: Btf, *, strip: bool = False) -> str:
    """Give the module *path* plain split BTF on *target*, and say what was done.

    KbtfError leaves both files as they were: a signature that may not be stripped, a type that
    *target* does not have.
    """
    raw = read_file(path)
    module = Module(raw, path)
    if not module.has_btf_base or module.btf is None:
        replace_file(output, raw, like=path)
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
    replace_file(output, pack(data, module), like=path)
    return f".BTF {len(relocation.split)} types, {len(relocation.split.to_bytes())} bytes"
