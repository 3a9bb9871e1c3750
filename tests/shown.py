# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What README and the pages show: the blocks that carry a mark, for it is these that tests run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from packages.tools import with_kbtf

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ROOT", "block", "normalised", "run_session", "sh", "steps"]

ROOT = Path(__file__).parent.parent


def block(page: str, name: str, places: Mapping[str, object] | None = None) -> str:
    """The code block of a page, named from the root, behind the mark of that name.

    *places* has what stands in the page for something of the reader's, and what it is here.
    """
    _, found, rest = (ROOT / page).read_text().partition(f"<!-- test: {name} -->\n")
    assert found, name
    text = rest.split("```")[1].partition("\n")[2]
    for shown, here in (places or {}).items():
        assert shown in text, shown
        text = text.replace(shown, str(here))
    return text


def sh(script: str, folder: Path, *, exits: int = 0, **variables: str) -> str:
    """Run commands in a folder with the kbtf that is tested, up to one that fails.

    What they print; *exits* is the exit code expected of the last.
    """
    command = ["sh", "-ec", script]
    env = with_kbtf(**variables)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == exits, done.stdout + done.stderr
    return done.stdout


def steps(session: str) -> list[tuple[str, str]]:
    """Each command of a console block and the output shown below it."""
    parts = (part.partition("\n") for part in session.split("$ ")[1:])
    return [(command, shown) for command, _, shown in parts]


def run_session(session: str, folder: Path, *, exits: int = 0) -> None:
    """Run each command of a console block and compare what it prints with what is shown."""
    for command, shown in steps(session):
        assert normalised(sh(command, folder, exits=exits)) == normalised(shown), command


def normalised(text: str) -> list[str]:
    """Lines without what differs between machines: releases, numbers, widths, pahole's notes."""
    text = re.sub(r"\d+\.\d+\.\d+\S*", "RELEASE", text)
    lines = [" ".join(re.sub(r"\d+", "N", line).split()) for line in text.splitlines()]
    return [line for line in lines if not line.startswith("pahole N.N:")]
