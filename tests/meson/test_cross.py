# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A cross build for arm64, with kbtf built for the machine that builds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from conftest import missing
from shown import block, sh

from . import projects

pytestmark = pytest.mark.integration

CROSS_FILE = """
[binaries]
c = 'aarch64-linux-gnu-gcc'
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'

[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
"""
# What the command of the page goes on with.
OPTIONS = {"installed": "", "subproject": "--wrap-mode=forcefallback -Dkernel_modules=enabled"}


def machine(path: Path) -> str:
    with path.open("rb") as file:
        return str(ELFFile(file).get_machine_arch())


@pytest.mark.parametrize("kind", OPTIONS)
def test_modules_for_arm64(kind: str, headers: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(projects.EXAMPLES / "meson_project", tmp_path / "project"))
    (folder / "aarch64.ini").write_text(CROSS_FILE)
    try:
        kdir = projects.arm64_headers(headers)
        project = projects.consumer(folder)
    except projects.Missing as error:
        missing(error)
    if kind == "subproject":
        projects.add_subproject(folder)
    setup = block("examples/meson_project/README.md", "cross", {"DIR": kdir}).rstrip()
    sh(f"{setup} {OPTIONS[kind]}", folder)
    assert project.compile()[-1] == "ticket_queue.ko"
    project.run("test", "-C", "out")

    installed = project.install()

    assert {Path(name).name: machine(path) for name, path in installed.items()} == {
        "tickets": "AArch64",
        "ticket_office.ko": "AArch64",
        "ticket_queue.ko": "AArch64",
    }
    assert all("-arm64/" in name for name in installed if name.endswith(".ko"))
    assert project.compile() == []


def test_the_kernel_of_a_cross_build_must_be_named(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(projects.EXAMPLES / "meson_project", tmp_path / "project"))
    (tmp_path / "aarch64.ini").write_text(CROSS_FILE)
    if not shutil.which("aarch64-linux-gnu-gcc"):
        missing("aarch64-linux-gnu-gcc is not installed")
    project = projects.consumer(folder)

    done = project.ask(
        "setup", "out", "--cross-file", tmp_path / "aarch64.ini", "-Dkernel_modules=enabled"
    )

    assert done.returncode
    assert "set -Dkernel_dir=" in done.stdout
