# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What docs/batch.md shows is run, on copies of the demo's module."""

from __future__ import annotations

import lzma
import os
import shutil
from pathlib import Path

import pytest

import kbtf
from kbtf import Module
from shown import block, sh

PAGE = "docs/batch.md"
DEMO = Path(kbtf.__file__).parent / "demo"
MODULES = [f"{folder}/{name}.ko" for folder in ("updates", "build/deep", "new") for name in "ab"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Modules as they were linked, in folders, and a kernel."""
    for name in MODULES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DEMO / "kfunc_module.ko", tmp_path / name)
    (tmp_path / "kernels").mkdir()
    vmlinux = lzma.decompress((DEMO / "vmlinux.btf.xz").read_bytes())
    (tmp_path / "kernels/vmlinux").write_bytes(vmlinux)
    return tmp_path


def have_btf(folder: Path) -> set[str]:
    return {name for name in MODULES if Module.open(str(folder / name)).has_btf_base}


def test_the_commands_run(tree: Path) -> None:
    (tree / "stamp").touch()
    os.utime(tree / "stamp", (1, 1))
    here = {"/lib/modules/6.12.0/updates": "updates"}
    *running, check, stats = block(PAGE, "commands", here).splitlines()
    has_to: list[set[str]] = []

    for command in running:
        sh(command, tree, KBTF_BASE="kernels/vmlinux")
        has_to.append(have_btf(tree))

    assert has_to == [set(MODULES[:2]), set(MODULES[:4]), set(MODULES)]
    assert sh(check, tree).splitlines()[-1] == "2 ok, 0 warnings, 0 rejected, 0 unknown"
    assert "build/deep/a.ko" in (tree / "report.html").read_text()
    assert ".BTF.base      2\n" in sh(stats, tree)


def test_an_executor_of_ones_own_does_the_work(tree: Path) -> None:
    (tree / "four.py").write_text(block(PAGE, "executor"))

    for folder, options in (("there", "-p ./four.py"), ("here", "")):
        run = f"kbtf run --base kernels/vmlinux {options} -o {folder} new"
        sh(f"mkdir {folder} && {run}", tree)

    for name in ("a.ko", "b.ko"):
        made = Module.open(str(tree / "there" / name))
        assert made.has_btf_base
        assert made.to_bytes() == (tree / "here" / name).read_bytes()
