# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The commands that CONTRIBUTING names run, on a copy of the sources."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shown import block, sh
from sources import copy_sources

from .test_site import need_sphinx


@pytest.mark.integration
def test_the_sources_are_clean_and_the_site_builds(tmp_path: Path) -> None:
    need_sphinx()
    folder = copy_sources(tmp_path / "kbtf")
    (folder / ".venv").symlink_to(sys.prefix)

    sh(block("CONTRIBUTING.md", "commands"), folder)

    assert (folder / "build/site/index.html").exists()
