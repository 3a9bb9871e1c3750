# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What README and docs show is run, and its output is what they show."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from kbtf import Module
from kbtf.testing import make_module
from shown import block, run_session, sh

ROOT = Path(__file__).parent.parent
PLUGINS = (ROOT / "docs" / "plugins.md").read_text()


@pytest.mark.integration
def test_the_shown_sessions_are_what_happens(kfunc_module: Path, tmp_path: Path) -> None:
    shutil.copy(kfunc_module, tmp_path)
    run_session(block("docs/index.md", "session"), tmp_path)

    (tmp_path / "mark.py").write_text(block("docs/plugins.md", "plugin"))
    run_session(block("docs/plugins.md", "plugin session"), tmp_path)


def test_the_check_of_readme_shows_what_happens(corpus: Path, tmp_path: Path) -> None:
    distilled = corpus / "distilled" / "extcon-core"
    module = make_module(
        "extcon_core",
        btf=distilled.with_suffix(".split").read_bytes(),
        btf_base=distilled.with_suffix(".base").read_bytes(),
        release="6.12.117+deb12-amd64",
        sections={"__versions": struct.pack("<Q56s", 1, b"module_layout")},
    )
    (tmp_path / "extcon-core.ko").write_bytes(module)
    boot = tmp_path / "kernels" / "boot"
    boot.mkdir(parents=True)
    for number in (115, 117):
        release = f"6.12.{number}+deb12-amd64"
        shutil.copy(corpus / "base" / f"6.12.{number}.btf", boot / f"vmlinux-{release}")
        (boot / f"config-{release}").write_text("CONFIG_MODULE_ALLOW_BTF_MISMATCH=y\n")

    run_session(block("README.md", "check session"), tmp_path, exits=1)


@pytest.mark.integration
def test_the_python_of_the_reference_runs(vmlinux: Path, tmp_path: Path) -> None:
    shown = block("docs/reference/python.md", "python")
    text = re.sub(r'"/boot/vmlinuz[^"]*"', repr(str(vmlinux)), shown)
    done = subprocess.run(
        [sys.executable, "-P", "-c", text], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"<STRUCT \[\d+\] 'task_struct'>\n", done.stdout)


@pytest.fixture
def mymodule(tmp_path: Path) -> Path:
    """The sources of a module, and where it will be."""
    shutil.copy(ROOT / "examples/kfunc_module/kfunc_module.c", tmp_path / "mymodule.c")
    (tmp_path / "Makefile").write_text("obj-m := mymodule.o\n")
    return tmp_path / "mymodule.ko"


@pytest.mark.integration
def test_the_two_steps_of_readme_give_a_module_its_btf(headers: Path, mymodule: Path) -> None:
    steps = block("README.md", "two steps", {"/lib/modules/$(uname -r)/build": headers})
    # A Kbuild that makes no BTF, as with headers that have no vmlinux.
    sh(steps, mymodule.parent, MAKEFLAGS="PAHOLE=true RESOLVE_BTFIDS=true")

    assert Module.open(str(mymodule)).has_btf_base


@pytest.mark.integration
def test_the_build_of_readme_gives_a_module_its_btf(headers: Path, mymodule: Path) -> None:
    sh(block("README.md", "build", {"kbtf build": f"kbtf build -C {headers}"}), mymodule.parent)

    assert Module.open(str(mymodule)).has_btf_base


def test_the_plugin_of_the_documentation_works(tmp_path: Path) -> None:
    toml = block("docs/plugins.md", "configuration")
    (tmp_path / "budget.py").write_text(block("docs/plugins.md", "budget"))
    (tmp_path / "kbtf.toml").write_text(toml)
    demo = ROOT / "kbtf" / "demo"
    shutil.copy(demo / "kfunc_module.ko", tmp_path)
    kbtf = [str(Path(sys.executable).parent / "kbtf"), "run"]
    kbtf += ["--base", str(demo / "vmlinux.btf.xz")]
    kbtf += ["-p", "./budget.py", "--config", "kbtf.toml", "kfunc_module.ko"]

    assert subprocess.run(kbtf, cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "kbtf.toml").write_text(toml.replace("2048", "20"))
    shutil.copy(demo / "kfunc_module.ko", tmp_path)
    done = subprocess.run(kbtf, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "over 20 bytes" in done.stderr
