# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The workflow that users copy: its steps, run one after the other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import textwrap
from typing import TYPE_CHECKING

import pytest

from real import BUILD_PRODUCTS
from sources import ROOT, copy_sources

from .tools import with_kbtf

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOW = ROOT / "examples/ci/github.yml"
PLACEHOLDER = re.compile(r"^  KBTF: (git\+https://git\.example\.org/kbtf)$", re.MULTILINE)
"""Where kbtf is fetched from, which users replace."""
STEP = re.compile(r"^( +)run: (?:\|\n((?:\1  .*\n|\n)+)|(.+)\n)", re.MULTILINE)
AUTHOR = ("-c", "user.name=kbtf", "-c", "user.email=kbtf@example.org")
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
    folder, programs = tmp_path / "module", tmp_path / "bin"
    shutil.copytree(ROOT / "examples/kfunc_module", folder, ignore=BUILD_PRODUCTS)
    repository = copy_sources(tmp_path / "repository")
    for words in (["init", "-q"], ["add", "-A"], [*AUTHOR, "commit", "-qm", "all"]):
        subprocess.run(["git", "-C", repository, *words], check=True)
    assert len(PLACEHOLDER.findall(WORKFLOW.read_text())) == 1
    programs.mkdir()
    release = headers.name.removeprefix("linux-headers-")
    for name, text in SHIMS.items():
        (programs / name).write_text("#!/bin/sh\n" + text.format(release=release) + "\n")
        (programs / name).chmod(0o755)
    env = with_kbtf(HOME=str(tmp_path), KBTF=f"git+file://{repository}")
    env["PATH"] = f"{programs}:{env['PATH']}"

    for step in steps():
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    (row,) = json.loads((folder / "check.json").read_text())["results"]
    assert (row["module"], row["verdict"]) == ("kfunc_module.ko", "ok")
    asked = (tmp_path / "asked").read_text()
    assert f"linux-headers-{release}" in asked
