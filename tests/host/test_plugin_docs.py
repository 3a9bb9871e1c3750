"""docs/plugins.md: its hooks are those that kbtf calls, and what it shows happens."""

from __future__ import annotations

import inspect
import lzma
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import kbtf
from kbtf.cli import main
from kbtf.host import hookspecs
from kbtf.host.manager import HOOKS
from shown import block

if TYPE_CHECKING:
    from host.plugin_files import Files

pytest_plugins = ["host.plugin_files"]

PAGE = "docs/plugins.md"
DEMO = Path(kbtf.__file__).parent / "demo"


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    return (root / PAGE).read_text()


def run_session(session: str, folder: Path) -> None:
    """Run the one command of a console block; what it prints is what is shown, but for numbers."""
    command, _, shown = session.removeprefix("$ ").partition("\n")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert normalised(done.stdout) == normalised(shown)


def normalised(text: str) -> list[str]:
    return [re.sub(r"\d+", "N", " ".join(line.split())) for line in text.splitlines()]


def test_the_reference_has_all_hooks_with_their_exact_signatures(text: str) -> None:
    rows = re.findall(r"^\| `(kbtf_\w+)\((.*?)\)` \| `(.*?)` \|", text, re.M)
    documented = [(name, names.split(", "), result) for name, names, result in rows]
    signatures = {name: inspect.signature(getattr(hookspecs, name)) for name in HOOKS}
    assert documented == [
        (name, list(signature.parameters), signature.return_annotation.replace("|", r"\|"))
        for name, signature in signatures.items()
    ]
    types = dict(re.findall(r"^\| `(\w+)` \| `(\w+)`:", text, re.M))
    assert types == {
        argument.name: argument.annotation
        for signature in signatures.values()
        for argument in signature.parameters.values()
    }
    assert set(types.values()) - {"Any"} <= set(kbtf.__all__)


def test_the_trace_shows_what_happens(tmp_path: Path) -> None:
    (tmp_path / "mark.py").write_text(block("README.md", "plugin"))
    shutil.copy(DEMO / "kfunc_module.ko", tmp_path)
    (tmp_path / "vmlinux.btf").write_bytes(lzma.decompress((DEMO / "vmlinux.btf.xz").read_bytes()))

    run_session(block(PAGE, "trace"), tmp_path)


def test_the_test_of_a_plugin_passes(text: str, tmp_path: Path) -> None:
    (tmp_path / "budget.py").write_text(text.split("```python\n")[1].partition("```")[0])
    (tmp_path / "test_budget.py").write_text(block(PAGE, "fixtures"))
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")

    run_session(block(PAGE, "fixtures session"), tmp_path)


def test_the_error_of_a_plugin_has_its_exit_code(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    (files.module.parent / "strict.py").write_text(block(PAGE, "policy"))

    assert main(["run", "-p", "./strict.py", str(files.module)]) == 0
    image = kbtf.Module.open(str(files.module)).image
    image.set_section(".debug_info", b"DWARF")
    files.module.write_bytes(image.to_bytes())
    assert main(["run", "-p", "./strict.py", str(files.module)]) == 1
    assert ".debug_info: not stripped; run strip -g after kbtf" in capsys.readouterr().err
