# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Old parts of the lab are removed, but not while another process uses them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .kept import kept, remove_unused

if TYPE_CHECKING:
    from pathlib import Path

ANOTHER = """
import sys
from lab.kept import kept
print(kept("lab-old", lambda path: path.mkdir()), flush=True)
sys.stdin.read()
"""


def test_what_is_in_use_is_not_removed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBTF_TEST_CACHE", str(tmp_path))
    old, older, new = (tmp_path / f"lab-{name}" for name in ("old", "older", "new"))
    older.mkdir()
    command = [sys.executable, "-c", ANOTHER]
    path = {**os.environ, "PYTHONPATH": str(root / "tests")}
    with subprocess.Popen(
        command, env=path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as another:
        assert another.stdout is not None
        assert another.stdout.readline().strip() == str(old)
        assert kept("lab-new", lambda path: path.mkdir()) == new

        remove_unused("lab-*", {"lab-new"})
        assert (old.exists(), older.exists(), new.exists()) == (True, False, True)
        another.kill()

    remove_unused("lab-*", {"lab-new"})
    assert (old.exists(), new.exists()) == (False, True)
