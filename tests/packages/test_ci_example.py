# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The workflow that users copy: its steps, run one after the other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from real import BUILD_PRODUCTS
from sources import ROOT, copy_sources

from .tools import with_kbtf

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOW = ROOT / "examples/ci/github.yml"
STEP = re.compile(r"^( +)run: (?:\|\n((?:\1  .*\n|\n)+)|(.+)\n)", re.MULTILINE)
# The runner's own: its packages are installed here, its kernel is another one.
SHIMS = {"sudo": 'echo "$@" >> $HOME/asked', "uname": "echo {release}"}


def steps() -> list[str]:
    """What the workflow runs."""
    found = [
        textwrap.dedent(block) or line for _, block, line in STEP.findall(WORKFLOW.read_text())
    ]
    assert len(found) == 3
    return found


@pytest.mark.integration
def test_the_workflow_builds_and_checks_a_module(tmp_path: Path, headers: Path) -> None:
    folder, wheels, programs = (tmp_path / name for name in ("module", "wheels", "bin"))
    shutil.copytree(ROOT / "examples/kfunc_module", folder, ignore=BUILD_PRODUCTS)
    source = copy_sources(tmp_path / "source")
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*wheel, "-w", wheels, source], env=with_kbtf(), check=True)
    programs.mkdir()
    release = headers.name.removeprefix("linux-headers-")
    for name, text in SHIMS.items():
        (programs / name).write_text("#!/bin/sh\n" + text.format(release=release) + "\n")
        (programs / name).chmod(0o755)
    env = with_kbtf(HOME=str(tmp_path), PIP_FIND_LINKS=str(wheels))
    env["PATH"] = f"{programs}:{env['PATH']}"

    for step in steps():
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    (row,) = json.loads((folder / "check.json").read_text())["results"]
    assert (row["module"], row["verdict"]) == ("kfunc_module.ko", "ok")
    asked = (tmp_path / "asked").read_text()
    assert f"linux-headers-{release}" in asked
