# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What scripts/gen-btf.sh of Linux 7.0 does to a module, command by command."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .standins import PAHOLE, RESOLVE_BTFIDS, Said, call

# From Makefile.btf, for pahole 1.31 and an external module with CONFIG_WERROR.
PAHOLE_FLAGS = (
    "-j2",
    "--btf_features=encode_force,var,float,enum64,decl_tag,type_tag,optimized_func,"
    "consistent_func,decl_tag_kfuncs",
    "--btf_features=attributes",
    "--lang_exclude=rust",
)
RESOLVE_FLAGS = ("--fatal_warnings", "--distill_base")
SUFFIXES = (".BTF", ".BTF.base", ".BTF_ids")


def gen_btf(module: str, base: Path | str, *flags: str, encode: bool = True) -> Said:
    """Encode, resolve and embed as the script does under ``set -e``; what the first failure said.

    Without *encode* MODULE.BTF.1 is there already.
    """
    steps: list[list[object]] = []
    if encode:
        detached = f"--btf_encode_detached={module}.BTF.1"
        steps.append([PAHOLE, "-J", *PAHOLE_FLAGS, "--btf_base", base, detached, module])
    steps.append([RESOLVE_BTFIDS, *flags, "--btf_base", base, "--btf", f"{module}.BTF.1", module])
    said = Said(0, "", [])
    for step in steps:
        said = call(str(step[0]), *step[1:])
        if said.code:
            return said
    return _embed(module) or said


def _embed(module: str) -> Said | None:
    for suffix in (".BTF", ".BTF.base"):
        blob = Path(module + suffix)
        if blob.exists() or suffix == ".BTF":
            command = ["objcopy", "--add-section", f"{suffix}={blob}", module]
            subprocess.run(command, check=True)
    if Path(f"{module}.BTF_ids").exists():
        said = call(RESOLVE_BTFIDS, "--patch_btfids", f"{module}.BTF_ids", module)
        return said if said.code else None
    return None
