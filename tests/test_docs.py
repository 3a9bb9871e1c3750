"""What README and docs show is run, and its output is what they show."""

from __future__ import annotations

import inspect
import lzma
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kbtf import Module
from kbtf.host import hookspecs
from kbtf.testing import make_module
from shown import block, run_session, sh

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PLUGINS = (ROOT / "docs" / "plugins.md").read_text()


@pytest.mark.integration
def test_the_sessions_of_readme_show_what_happens(kfunc_module: Path, tmp_path: Path) -> None:
    shutil.copy(kfunc_module, tmp_path)
    run_session(block("README.md", "session"), tmp_path)

    (tmp_path / "mark.py").write_text(block("README.md", "plugin"))
    run_session(block("README.md", "plugin session"), tmp_path)


def test_the_check_of_readme_shows_what_happens(corpus: Path, tmp_path: Path) -> None:
    distilled = corpus / "distilled" / "extcon-core"
    module = make_module(
        "extcon_core",
        btf=distilled.with_suffix(".split").read_bytes(),
        btf_base=distilled.with_suffix(".base").read_bytes(),
    )
    (tmp_path / "extcon-core.ko").write_bytes(module)
    boot = tmp_path / "old" / "boot"
    boot.mkdir(parents=True)
    packed = (corpus / "base" / "6.12.115.btf.xz").read_bytes()
    (boot / "vmlinux-6.12.115+deb12-amd64").write_bytes(lzma.decompress(packed))
    (boot / "config-6.12.115+deb12-amd64").write_text("CONFIG_MODULE_ALLOW_BTF_MISMATCH=y\n")

    run_session(block("README.md", "check session"), tmp_path)


@pytest.mark.integration
def test_the_python_of_readme_runs(vmlinux: Path, tmp_path: Path) -> None:
    text = re.sub(r'"/boot/vmlinuz[^"]*"', repr(str(vmlinux)), block("README.md", "python"))
    done = subprocess.run(
        [sys.executable, "-P", "-c", text], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"<STRUCT \[\d+\] 'task_struct'>\n", done.stdout)


def test_the_use_of_readme_is_what_the_demo_ends_with() -> None:
    last = (ROOT / "kbtf/cli/demo.py").read_text()
    for line in block("README.md", "two steps").splitlines():
        assert line in last


@pytest.mark.integration
def test_the_two_steps_of_readme_give_a_module_its_btf(headers: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples/kfunc_module/kfunc_module.c", tmp_path / "mymodule.c")
    (tmp_path / "Makefile").write_text("obj-m := mymodule.o\n")
    here = {"/lib/modules/$(uname -r)/build": headers}
    # A Kbuild that makes no BTF, as with headers that have no vmlinux.
    sh(block("README.md", "two steps", here), tmp_path, MAKEFLAGS="PAHOLE=true RESOLVE_BTFIDS=true")

    assert Module.open(str(tmp_path / "mymodule.ko")).has_btf_base


def test_every_hook_is_documented_with_its_arguments() -> None:
    for name, hook in vars(hookspecs).items():
        if name.startswith("kbtf_"):
            arguments = ", ".join(inspect.signature(hook).parameters)
            assert f"`{name}({arguments})`" in PLUGINS


def test_every_command_is_in_readme() -> None:
    from kbtf.cli import COMMANDS

    for name in COMMANDS:
        assert f"`kbtf {name}" in README, name


def test_the_plugin_of_the_documentation_works(tmp_path: Path) -> None:
    toml = block("docs/plugins.md", "configuration")
    (tmp_path / "budget.py").write_text(block("docs/plugins.md", "budget"))
    (tmp_path / "kbtf.toml").write_text(toml)
    demo = ROOT / "kbtf" / "demo"
    shutil.copy(demo / "kfunc_module.ko", tmp_path)
    kbtf = [str(Path(sys.executable).parent / "kbtf"), "run"]
    kbtf += ["--base", str(demo / "vmlinux.btf.xz")]
    kbtf += ["-p", "./budget.py", "kfunc_module.ko"]

    assert subprocess.run(kbtf, cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "kbtf.toml").write_text(toml.replace("2048", "20"))
    shutil.copy(demo / "kfunc_module.ko", tmp_path)
    done = subprocess.run(kbtf, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "over 20 bytes" in done.stderr


def test_every_finding_of_a_check_is_documented() -> None:
    text = (ROOT / "docs" / "check.md").read_text()
    sources = [*(ROOT / "kbtf/check").glob("*.py")]
    codes = {
        code
        for source in sources
        for code in re.findall(
            r'(?:Severity\.\w+|severity|_warning\(|Finding\()[^"\n]*,? ?"([a-z]+(?:-[a-z]+)+)"',
            source.read_text(),
        )
    }
    assert len(codes) > 10
    for code in codes:
        assert f"`{code}`" in text, code
