# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Links between files of the project lead to files, and those that leave it are known ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from .pages import ROOT, pages

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"\]\(([^)\s]+)\)")
# They cannot be looked up without a network; a new one is looked at by whoever adds it here.
KNOWN = {
    "https://distributed.dask.org",
    "https://git.kernel.org/pub/scm/devel/pahole/pahole.git",
    "https://github.com/eliben/pyelftools",
    "https://mesonbuild.com/meson-python/",
    "https://packaging.pypa.io",
    "https://pluggy.readthedocs.io",
}

each_page = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as GitHub and MyST have it."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", name).strip().lower().replace(" ", "-") for name in headings}


@each_page
def test_links_lead_to_files(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            assert link in KNOWN
            continue
        name, _, place = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not place or place in anchors(target), link
