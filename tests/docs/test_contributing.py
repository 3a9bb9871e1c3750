# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The commands that CONTRIBUTING names run, on a copy of the sources."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from shown import ROOT, block, sh
from sources import copy_sources

from .test_site import need_sphinx


def runs_of_tests(page: str) -> set[str]:
    return set(re.findall(r"\.venv/bin/pytest\b(?: -m \w+)?", (ROOT / page).read_text()))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_tests_are_run_as_before_anything_lands(page: str) -> None:
    assert runs_of_tests(page) == runs_of_tests(".ci/run")
    for path in (page, ".ci/run"):
        assert ".venv/bin/pip install '.[docs,test]'" in (ROOT / path).read_text()


@pytest.mark.integration
def test_the_sources_are_clean_and_the_site_builds(tmp_path: Path) -> None:
    need_sphinx()
    folder = copy_sources(tmp_path / "kbtf")
    (folder / ".venv").symlink_to(sys.prefix)

    sh(block("CONTRIBUTING.md", "commands"), folder)

    assert (folder / "build/site/index.html").exists()
