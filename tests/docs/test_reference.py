# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The reference has all that there is."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import kbtf
from kbtf import errors
from kbtf.cli.command import COMMANDS
from shown import block, sh

from .pages import DOCS, ROOT, generated

KBTF = Path(sys.executable).parent / "kbtf"


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    return dict(generated().PARTS)


@pytest.mark.parametrize("command", COMMANDS)
def test_all_that_help_shows_is_in_the_reference(command: str, parts: dict[str, Any]) -> None:
    shown = subprocess.run([KBTF, command, "--help"], capture_output=True, text=True, check=True)
    _, _, rest = parts["commands"]().partition(f"## kbtf {command}\n")
    section = rest.partition("\n## ")[0]
    flags = set(re.findall(r"^  (?:-\w, )?(--?[\w-]+)", shown.stdout, re.MULTILINE))
    for flag in flags - {"-h", "--help"}:
        assert re.search(rf"`{flag}[` ]", section), flag
    assert " ".join(shown.stdout.split())[:6] == "usage:"


def test_every_part_that_is_made_has_its_page(parts: dict[str, Any]) -> None:
    marks = [
        mark
        for page in DOCS.rglob("*.md")
        for mark in re.findall(r"^<!-- generated: (\w+) -->$", page.read_text(), re.MULTILINE)
    ]
    assert sorted(marks) == sorted(parts)


def test_every_public_name_is_in_the_reference() -> None:
    text = (DOCS / "reference/python.md").read_text()
    documented = re.findall(r"^\.\. \w+:: kbtf\.(\w+)$", text, re.MULTILINE)
    assert sorted(documented) == sorted(kbtf.__all__)


def test_every_error_has_its_exit_code_in_the_reference(parts: dict[str, Any]) -> None:
    text = parts["error_classes"]()
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.KbtfError):
            assert re.search(rf"^\| `{name}` \| `\w+` \| {error.exit_code} \|", text, re.MULTILINE)


def test_every_variable_of_kbtf_is_in_the_reference() -> None:
    text = (DOCS / "reference/configuration.md").read_text()
    sources = [*(ROOT / "kbtf").rglob("*.py"), *(ROOT / "plugins").glob("*.py")]
    names = {
        name
        for source in sources
        for name in re.findall(r'environ\S*[\[(]"(KB\w+[A-Z])"', source.read_text())
    }
    assert len(names) > 5
    for name in names:
        assert f"`{name}`" in text, name


def test_the_configuration_shown_is_one(parts: dict[str, Any], tmp_path: Path) -> None:
    text = block("docs/reference/configuration.md", "configuration")
    (tmp_path / "kbtf.toml").write_text(text)
    assert "pahole" not in sh("kbtf plugins --config kbtf.toml", tmp_path)
    keys = tomllib.loads(text)
    for key in keys.keys() - {"plugins"}:
        assert f"| `{key}` |" in parts["configuration"]()
