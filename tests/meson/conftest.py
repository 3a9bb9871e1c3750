# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Clones and builds that the tests of Meson projects share, for a Kbuild build takes seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conftest import missing

from . import projects

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def clone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of all of kbtf."""
    try:
        return projects.clone_of(root, tmp_path_factory.mktemp("meson"))
    except projects.Missing as error:
        missing(error)
