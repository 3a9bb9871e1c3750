"""Messages have one voice: CONTRIBUTING, "Messages"."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
CLASSES = {name for name, error in vars(errors).items() if isinstance(error, type)}
OTHER_WORDS = {
    r"\bis no\b": "is not a",
    r"\b(could not|can not|failed to)\b": "cannot",
    r"\bfolder\b": "directory",
    r"\bgive\b": "name, use",
    r"^there is no\b": "has no",
}


def constant_words(node: ast.expr) -> str:
    """What is said whatever is filled in, which is left as ``{}``."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(constant_words, node.values))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "{}"


def messages() -> Iterator[tuple[str, str]]:
    """File and line, and what an error says that is raised there, or what it says to do."""
    for file in sorted([*(ROOT / "kbtf").rglob("*.py"), *(ROOT / "plugins").glob("*.py")]):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in CLASSES:
                hints = [word.value for word in node.keywords if word.arg == "hint"]
                for text in map(constant_words, [*node.args[:1], *hints]):
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", text


MESSAGES = list(messages())


def test_there_are_messages() -> None:
    assert len(MESSAGES) > 150


def test_a_message_begins_in_lower_case_and_has_no_full_stop() -> None:
    capital = re.compile(r"[A-Z][a-z]")  # unlike BTF, -C, PATH
    assert [m for m in MESSAGES if capital.match(m[1]) or m[1].endswith((".", "!", " "))] == []


@pytest.mark.parametrize("pattern", OTHER_WORDS, ids=OTHER_WORDS.get)
def test_the_same_is_said_in_the_same_words(pattern: str) -> None:
    assert [message for message in MESSAGES if re.search(pattern, message[1])] == []
