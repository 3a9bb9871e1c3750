# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Somebody who has a module and never saw kbtf does what README says."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from conftest import need_fresh_debian
from shown import block

if TYPE_CHECKING:
    from pathlib import Path

# The others of README take another kernel, or one that runs.
BLOCKS = ("packages", "install", "build", "two steps")


@pytest.mark.integration
def test_readme_works_on_a_fresh_debian(root: Path) -> None:
    need_fresh_debian()
    command = ["bash", str(root / "tests/newcomer.sh")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert done.stdout.endswith("README holds\n")
    for name in BLOCKS:
        first = block("README.md", name).partition("\n")[0]
        assert f"== {first}\n" in done.stdout, name
