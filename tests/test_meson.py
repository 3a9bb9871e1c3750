"""kbtf as the subproject of a Meson project: it provides the program and installs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import missing

pytestmark = pytest.mark.integration

CONSUMER = """
project('consumer')
kbtf = find_program('kbtf', version: '>=0.1')
custom_target('shown', output: 'shown.txt', command: [kbtf, 'plugins'], capture: true,
              build_by_default: true)
"""
WRAP = "[wrap-file]\ndirectory = kbtf\n\n[provide]\nprogram_names = kbtf\n"


def test_a_meson_project_gets_the_program_built_and_nothing_installed(
    root: Path, tmp_path: Path
) -> None:
    here = Path(sys.executable).parent
    meson = shutil.which("meson", path=here) or shutil.which("meson")
    if meson is None:
        missing("meson is not installed")
    ignore = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__")
    shutil.copytree(root, tmp_path / "subprojects/kbtf", symlinks=True, ignore=ignore)
    (tmp_path / "subprojects/kbtf.wrap").write_text(WRAP)
    (tmp_path / "meson.build").write_text(CONSUMER)
    env = {**os.environ, "PATH": f"{here}:{os.environ['PATH']}", "DESTDIR": str(tmp_path / "dest")}

    def run(*words: str) -> None:
        done = subprocess.run(
            [meson, *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run("setup", "out", "--force-fallback-for=kbtf")
    run("compile", "-C", "out")
    run("install", "-C", "out")

    assert "resolve_btfids" in (tmp_path / "out/shown.txt").read_text()
    assert not (tmp_path / "dest").exists()
