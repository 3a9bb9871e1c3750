# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The manual pages, as they are installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import missing
from kbtf.cli.command import COMMANDS
from kbtf.cli.inventory import inventory

MANUAL = Path(sys.prefix) / "share/man/man1"


@pytest.fixture(autouse=True)
def pages() -> list[Path]:
    found = sorted(MANUAL.glob("kbtf*.1"))
    return found or missing("kbtf is not installed with its data")


def shown(page: Path) -> str:
    """A page as a terminal shows it, in lines of 78 columns without emphasis."""
    env = {**os.environ, "MANWIDTH": "78", "LC_ALL": "C.UTF-8"}
    command = [shutil.which("man") or missing("no man"), "--local-file", "--warnings", str(page)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert not done.stderr
    return re.sub(".\b", "", done.stdout)


def test_every_command_has_a_page(pages: list[Path]) -> None:
    names = {"kbtf.1", *(f"kbtf-{command}.1" for command in COMMANDS)}
    assert {page.name for page in pages} == names


def test_mandoc_finds_nothing_to_warn_of(pages: list[Path]) -> None:
    mandoc = shutil.which("mandoc") or missing("no mandoc")
    command = [mandoc, "-Tlint", "-Wwarning", *map(str, pages)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_a_page_has_all_options_and_the_example() -> None:
    for command in inventory():
        text = shown(MANUAL / f"kbtf-{command.name}.1")
        for argument in command.options:
            assert ", ".join(argument.flags) in text, argument
        words = " ".join(text.split())
        assert " ".join(command.example.split()) in words
        for paragraph in command.description.split("\n\n"):
            assert " ".join(paragraph.split()) in words


def test_the_first_page_leads_to_all_others() -> None:
    text = shown(MANUAL / "kbtf.1")
    for name, summary in COMMANDS.items():
        assert f"kbtf-{name}(1)" in text
        assert summary in " ".join(text.split())


def test_man_finds_the_pages_beside_the_program() -> None:
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    env.pop("MANPATH", None)
    command = [shutil.which("man") or missing("no man"), "--path", "kbtf-run"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(MANUAL / "kbtf-run.1")
