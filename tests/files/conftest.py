# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The folder and the file that tests replace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from files.modules import OLD

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of its own, so that everything in it is accounted for."""
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.fixture
def module(folder: Path) -> Path:
    """A module with its old content, alone in its folder."""
    path = folder / "a.ko"
    path.write_bytes(OLD)
    return path
