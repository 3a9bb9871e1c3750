# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The fuzzers, for some seconds each; CONTRIBUTING says how to run them for long."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import missing
from shown import block, sh

FOLDER = Path(__file__).parent
SECONDS = 5
TARGETS = (
    *("index", "deduplicate", "distill", "relocate", "verify", "encode"),
    *("btf", "dump", "elf", "module", "btf_ids", "kernel", "bpf", "kfuncs", "cmd"),
)


@pytest.mark.integration
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found_in_seconds(target: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        missing("atheris, see CONTRIBUTING")
    program = FOLDER / "fuzz.py"

    done = subprocess.run(
        [sys.executable, program, target, f"--seconds={SECONDS}", f"--corpus={tmp_path}"],
        capture_output=True,
        text=True,
    )

    log = tmp_path / f"{target}.log"
    assert done.returncode == 0, log.read_text(errors="replace") if log.exists() else done.stderr


@pytest.mark.integration
def test_the_commands_of_contributing(kfunc_module: Path, vmlinux: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        missing("atheris, see CONTRIBUTING")
    here = {
        ".venv/bin/python tests/fuzz": f"{sys.executable} {FOLDER}",
        "--seconds 600": "distill btf --seconds 1",
        "/boot/vmlinuz-R": vmlinux,
        "--count 100000": "--count 20 --commands 2",
        "some/*.ko": kfunc_module,
    }
    said = sh(block("CONTRIBUTING.md", "fuzzing", here), tmp_path)

    assert said.endswith("20 cases, nothing found\n")
    assert {path.stem for path in (tmp_path / "fuzz-corpus").glob("*.log")} == {"distill", "btf"}


@pytest.mark.integration
def test_damaged_modules_are_refused_or_done(
    kfunc_module: Path, headers: Path, tmp_path: Path
) -> None:
    program: list[str | Path] = [sys.executable, FOLDER / "mutate.py"]
    program += ["--base", headers / "vmlinux"]
    options = ["--count=300", "--commands=20", f"--findings={tmp_path}"]

    done = subprocess.run([*program, *options, kfunc_module], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "300 cases, nothing found\n"), done.stderr
