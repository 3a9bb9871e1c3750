# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The site builds without a warning, and no link on it leads nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest

from conftest import missing

from .pages import DOCS

pytestmark = pytest.mark.integration


def need_sphinx() -> None:
    """Skip where what makes the site is not installed."""
    for name in ("sphinx", "myst_parser", "furo"):
        if find_spec(name) is None:
            missing(f"{name} is not installed: pip install 'kbtf[docs]'")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `sphinx-build` with the strictest options makes it."""
    need_sphinx()
    folder = tmp_path_factory.mktemp("site")
    env = {name: value for name, value in os.environ.items() if not name.startswith("KBTF_")}
    words = [sys.executable, "-P", "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-E"]
    done = subprocess.run(
        [*words, "-d", folder / "doctrees", DOCS, folder / "html"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "html"


class Page(HTMLParser):
    """The links of a page and the places in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 20
    for path, page in pages.items():
        for link in page.links:
            if link.startswith(("http:", "https:", "data:", "mailto:")):
                continue
            name, _, place = unquote(link).partition("#")
            target = (path.parent / name.partition("?")[0]).resolve() if name else path
            assert target.exists(), f"{path.name}: {link}"
            if place and target in pages:
                assert place in pages[target].places, f"{path.name}: {link}"


def test_every_page_is_reached_from_the_first(site: Path) -> None:
    first = Page(site / "index.html")
    for page in DOCS.rglob("*.md"):
        name = str(page.relative_to(DOCS).with_suffix(".html"))
        assert name == "index.html" or name in first.links, name


def test_drawings_take_the_colours_of_the_page(site: Path) -> None:
    drawings = list((DOCS / "images").glob("*.svg"))
    inline = sum(path.read_text().count('<svg class="drawing"') for path in site.rglob("*.html"))
    assert inline == len(drawings) > 3


def test_names_without_a_docstring_show_none(site: Path) -> None:
    text = (site / "reference/python.html").read_text()
    assert "Alias for field number" not in text
    assert "Create a new string object" not in text
