# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Each `kbtf ...` in a page is a command that there is, with options that it has."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from kbtf.cli.inventory import inventory

from .pages import ROOT, code, pages

if TYPE_CHECKING:
    from pathlib import Path

CALL = re.compile(r"(?:^|[\s(\"'|&;])(?:\S*/)?kbtf(?= )([^|;&>#)\"]*)")
WITHOUT_A_COMMAND = {"--debug", "--version", "-V", "--help", "-h"}
# What plugins add that a page is about.
OPTIONS_OF_PLUGINS = {"--budget", "--dask", "--provenance-revision", "--record-baseline"}
COMMANDS_OF_PLUGINS = {"provenance"}

each_page = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """The options of each command."""
    return {
        command.name: {flag for argument in command.arguments for flag in argument.flags}
        for command in inventory()
    }


def calls(text: str) -> list[list[str]]:
    """The words behind `kbtf` wherever that stands in code."""
    found = []
    for line in code(text):
        for rest in CALL.findall(re.sub(r"\$\([^()]*\)(?=[/\s]|$)", "X", line)):
            try:
                found.append(shlex.split(rest))
            except ValueError:  # a quote that ends in what was cut off
                found.append(rest.split())
    return found


@each_page
def test_commands_and_options_are_those_of_kbtf(page: Path, options: dict[str, set[str]]) -> None:
    for words in calls(page.read_text()):
        if not words or not re.fullmatch(r"[a-z]+|-.*", words[0]):
            continue  # kbtf COMMAND
        command, rest = words[0], words[1:]
        if command.startswith("-"):
            assert command in WITHOUT_A_COMMAND, words
            continue
        if command in COMMANDS_OF_PLUGINS:
            continue
        assert command in options, words
        own = rest[: rest.index("--")] if "--" in rest else rest
        given = {word.partition("=")[0] for word in own if re.match(r"--?[a-z]", word)}
        known = options[command] | OPTIONS_OF_PLUGINS
        wrong = {w for w in given - known if w.startswith("--") or w[:2] not in known}
        assert not wrong, words


def test_commands_are_seen() -> None:
    seen = [words[0] for page in pages() for words in calls(page.read_text()) if words]
    assert len(seen) > 100
    assert {"build", "run", "check", "base"} <= set(seen)
