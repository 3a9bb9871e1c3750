# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whatever writes a file that stays with another user warns of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kbtf import Btf, distill
from kbtf.testing import make_base, make_ids, make_kfuncs, make_module

NOBODY = 65534
BASE = make_base().build()
SPLIT = Btf.parse(make_kfuncs(BASE, ["f"]), BASE)
COMMANDS = {
    "run": "kbtf run --base base own.ko",
    "run -o": "kbtf run --base base own.ko -o out",
    "run --depfile": "kbtf run --base base --depfile out own.ko",
    "undistill": "kbtf undistill --base base distilled.ko",
    "undistill -o": "kbtf undistill --base base distilled.ko -o out",
    "distill": "kbtf distill base split out out2",
    "relocate": "kbtf relocate base small_base small_split out",
    "extract -o": "kbtf extract own.ko .BTF -o out",
    "base -o": "kbtf base base -o out",
    "check --html": "kbtf check --kernel base --html out own.ko",
    "resolve_btfids": "kbtf-resolve-btfids --btf base ids.ko",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_result_that_stays_with_another_user_is_warned_of(name: str, run_dir: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    distilled = distill(SPLIT)
    files = {
        "base": BASE.to_bytes(),
        "split": SPLIT.to_bytes(),
        "small_base": distilled.base.to_bytes(),
        "small_split": distilled.split.to_bytes(),
        "own.ko": make_module("own", btf=SPLIT.to_bytes()),
        "ids.ko": make_module(
            "ids", btf=SPLIT.to_bytes(), ids=make_ids(set8s={"s": [("func", "f", 0)]})
        ),
        "distilled.ko": make_module(
            "distilled", btf=distilled.split.to_bytes(), btf_base=distilled.base.to_bytes()
        ),
        "out": b"old",
    }
    for file, data in files.items():
        (run_dir / file).write_bytes(data)
        os.chown(run_dir / file, NOBODY, NOBODY)
    program, *words = COMMANDS[name].split()

    done = subprocess.run(
        [Path(sys.executable).with_name(program), *words], capture_output=True, text=True
    )

    assert f"still belongs to user {NOBODY}, who can change it" in done.stderr
    assert f"{program}: warning: " in done.stderr
