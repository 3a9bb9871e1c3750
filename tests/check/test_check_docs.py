# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What docs/check.md shows is run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import kbtf
from conftest import missing
from meson import projects
from shown import block, sh

pytestmark = pytest.mark.integration

PAGE = "docs/check.md"
DEMO = Path(kbtf.__file__).parent / "demo"
PROJECT = """
project('mymodule')
kbtf = find_program('kbtf')
module = files('mymodule.ko')
"""


def test_the_commands_run(kfunc_module: Path, vmlinux: Path, tmp_path: Path) -> None:
    shutil.copy(kfunc_module, tmp_path / "mymodule.ko")
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels/vmlinux").symlink_to(vmlinux)
    sh(f"kbtf run --base {vmlinux} mymodule.ko", tmp_path)
    release = kbtf.Module.open(str(kfunc_module)).release

    here = {"--kernel /boot": "--kernel kernels", "6.12.0": release}
    said = sh(block(PAGE, "commands", here), tmp_path).splitlines()

    results = [line.split() for line in said if line.startswith("mymodule.ko ")]
    assert [words[-1] for words in results] == ["ok"] * 3
    assert "mymodule.ko" in (tmp_path / "report.html").read_text()


def test_meson_takes_the_result(tmp_path: Path) -> None:
    (tmp_path / "meson.build").write_text(PROJECT + block(PAGE, "meson"))
    shutil.copy(DEMO / "kfunc_module.ko", tmp_path / "mymodule.ko")
    base = str(DEMO / "vmlinux.btf.xz")
    try:
        project = projects.consumer(tmp_path)
    except projects.Missing as error:
        missing(error)
    project.run("setup", "out")

    linked = project.ask("test", "-C", "out", KBTF_BASE=base)
    assert linked.returncode == 1, linked.stdout
    sh("kbtf run mymodule.ko", tmp_path, KBTF_BASE=base)
    project.run("test", "-C", "out", KBTF_BASE=base)
