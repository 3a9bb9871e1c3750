# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""An input is the file that was opened, whatever becomes of its name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from files.modules import require
from kbtf.testing import make_base

if TYPE_CHECKING:
    from collections.abc import Callable

DUMP = [str(Path(sys.executable).with_name("kbtf")), "dump"]
OPENED = "inject=openat:delay_exit=2000000"
"""What strace does: each call returns two seconds after the file is open."""


def test_a_name_that_changes_once_the_file_is_open(tmp_path: Path) -> None:
    require(shutil.which("strace"), "strace is missing")
    path = tmp_path / "raw.btf"
    path.write_bytes(make_base().to_bytes())
    expected = subprocess.run([*DUMP, str(path)], capture_output=True, check=True).stdout
    trace = ["strace", "-o", "/dev/null", "-P", str(path), "-e", "trace=openat", "-e", OPENED]

    with subprocess.Popen([*trace, *DUMP, str(path)], stdout=subprocess.PIPE) as traced:
        wait_until(lambda: is_open_below(traced.pid, path))
        path.rename(tmp_path / "away")
        path.mkdir()
        output, _ = traced.communicate(timeout=60)

    assert traced.returncode == 0
    assert output == expected


def is_open_below(parent: int, path: Path) -> bool:
    """Whether a child of the process *parent* has a file open."""
    with open(f"/proc/{parent}/task/{parent}/children") as file:
        children = file.read().split()
    return any(str(path) in open_files(child) for child in children)


def open_files(process: str) -> list[str]:
    folder = f"/proc/{process}/fd"
    try:
        return [os.readlink(f"{folder}/{number}") for number in os.listdir(folder)]
    except OSError:  # closed, or ended, meanwhile
        return []


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)
