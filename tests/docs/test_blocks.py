# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Every block of every page is run by a test that names it, or says why none can."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import pytest

from .pages import ROOT, pages

if TYPE_CHECKING:
    from pathlib import Path

MARK = re.compile(r"<!-- (?P<kind>test|not run): (?P<text>.+) -->")
FENCED = re.compile(
    r"^(?P<indent> {0,3})(?P<fence>`{3,}|~{3,})(?P<kind>.*)\n(?:.*\n)*?(?P=indent)(?P=fence)$",
    re.MULTILINE,
)

each_page = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))


class Block(NamedTuple):
    """A fenced block: the line that it begins in, the word behind its fence, the line before."""

    line: int
    kind: str
    before: str


def blocks(text: str) -> list[Block]:
    """All but directives of MyST, which make parts of the site."""
    assert not re.search("^ {0,3}(```|~~~)", FENCED.sub("", text), re.MULTILINE), "has no end"
    found = []
    for match in FENCED.finditer(text):
        lines = text[: match.start()].split("\n")
        if not match["kind"].startswith("{"):
            found.append(Block(len(lines), match["kind"], lines[-2] if len(lines) > 1 else ""))
    return found


def marks(text: str) -> list[re.Match[str]]:
    return [match for line in text.splitlines() if (match := MARK.fullmatch(line))]


@cache
def strings_of_tests() -> list[set[str]]:
    """The strings that each file of tests is written with."""
    return [
        {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        for path in (ROOT / "tests").rglob("*.py")
    ]


@each_page
def test_every_block_has_a_mark_and_every_mark_a_block(page: Path) -> None:
    text = page.read_text()
    found = blocks(text)
    for block in found:
        assert MARK.fullmatch(block.before), f"line {block.line}: {block.kind} without a mark"
    assert len(marks(text)) == len(found)


@each_page
def test_every_name_stands_once_in_a_page_and_beside_it_in_some_test(page: Path) -> None:
    names = [match["text"] for match in marks(page.read_text()) if match["kind"] == "test"]
    assert len(names) == len(set(names))
    path = str(page.relative_to(ROOT))
    for name in names:
        assert any({path, name} <= strings for strings in strings_of_tests()), name


def test_blocks_and_marks_are_seen() -> None:
    text = "".join(page.read_text() for page in pages())
    assert len(blocks(text)) > 50
    kinds = [match["kind"] for match in marks(text)]
    assert len(kinds) > 50
    assert kinds.count("not run") < 10
