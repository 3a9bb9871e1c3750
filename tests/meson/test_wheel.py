# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A wheel that has a kernel module with BTF in it, built by meson-python and installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from conftest import missing
from kbtf import Module, open_btf, relocate
from shown import block, sh

from . import projects

pytestmark = pytest.mark.integration

FAKE_INSMOD = "#!/bin/sh\nprintf '%s\\n' \"$@\" > loaded\n"


def succeed(*words: object, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [*map(str, words)],
        cwd=cwd,
        env={**projects.consumer(cwd).env, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_wheel_brings_its_module(headers: Path, vmlinux: Path, tmp_path: Path) -> None:
    if not projects.has_module("mesonpy"):
        missing("meson-python is not installed")
    release = headers.name.removeprefix("linux-headers-")
    source = Path(shutil.copytree(projects.EXAMPLES / "meson_wheel", tmp_path / "source"))
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv/bin/python"
    pip = f"{sys.executable} -m pip --disable-pip-version-check"
    here = {
        "pip install": f"{pip} --python {python} install --no-index",
        "pip wheel": f"{pip} wheel --no-build-isolation",
        "/usr/src/linux-headers-RELEASE": headers,
    }
    path = f"{projects.HERE}:{python.parent}:{os.environ['PATH']}"
    said = sh(block("examples/meson_wheel/README.md", "wheel", here), source, PATH=path)
    (wheel,) = source.glob("beacon-1.0-*.whl")
    assert "-abi3-linux_" in wheel.name, "for all versions of Python, on one architecture"

    assert said.splitlines()[-1] == release
    insmod = tmp_path / "insmod"
    insmod.write_text(FAKE_INSMOD)
    insmod.chmod(0o755)
    load = f"import beacon; beacon.load({release!r})"
    succeed(python, "-c", load, cwd=tmp_path, PATH=f"{tmp_path}:/usr/bin:/bin")
    module = Path((tmp_path / "loaded").read_text().rstrip("\n"))
    assert module.is_relative_to(tmp_path / "venv")
    assert module.name == f"beacon-{release}.ko"

    with module.open("rb") as file:
        elf = ELFFile(file)
        data = {s.name: s.data() for s in elf.iter_sections() if s.name.startswith(".BTF")}
    assert set(data) == {".BTF", ".BTF.base", ".BTF_ids"}
    assert all(any(content) for content in data.values())
    btf = Module.open(str(module)).btf
    assert btf is not None
    relocate(btf, open_btf(str(vmlinux)))


def test_no_module_for_a_kernel_is_an_error(tmp_path: Path) -> None:
    package = Path(shutil.copytree(projects.EXAMPLES / "meson_wheel/beacon", tmp_path / "beacon"))
    (package / "modules").mkdir()
    (package / "modules/beacon-1.2.3-other.ko").touch()

    done = subprocess.run(
        [sys.executable, "-m", "beacon", "load"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.endswith("only for 1.2.3-other\n")
