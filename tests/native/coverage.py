# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Which branches of the C core ran, by gcov; and those that no test can reach, with the reason."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from native.build import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Line(NamedTuple):
    """A line that has branches."""

    file: str
    number: int
    text: str


FILES = {path.name: path for path in SOURCES}
MARK = "LCOV_EXCL_BR_LINE"
"""In a comment of the line, with the reason why no test reaches its branches."""
OF_PYTHON = ("PyList_SetItem", "PyTuple_SetItem", "Py_CLEAR", "Py_VISIT")
"""What has branches of its own: places behind an end, members that are NULL."""


def run_gcov(folder: Path) -> Iterable[dict[str, object]]:
    """gcov's report of every object below *folder*."""
    for data in sorted(folder.rglob("*.gcda")):
        done = subprocess.run(
            ["gcov", "--json-format", "--branch-probabilities", "--stdout", data],
            cwd=folder,
            capture_output=True,
            check=True,
        )
        text = gzip.decompress(done.stdout) if done.stdout[:2] == b"\x1f\x8b" else done.stdout
        yield from json.loads(text)["files"]


def missed(folders: Iterable[Path]) -> list[Line]:
    """The lines of the C core that have a branch which ran nowhere."""
    counts: dict[tuple[str, int, int], int] = defaultdict(int)
    for folder in folders:
        for file in run_gcov(folder):
            name = str(file["file"]).rpartition("/")[2]
            if name not in FILES:
                continue
            lines = file["lines"]
            assert isinstance(lines, list)
            for line in lines:
                for nr, branch in enumerate(line["branches"]):
                    counts[name, line["line_number"], nr] += branch["count"]
    found = sorted({(name, number) for (name, number, _), count in counts.items() if not count})
    return [Line(name, number, text_of(name, number)) for name, number in found]


def text_of(name: str, number: int) -> str:
    return FILES[name].read_text().splitlines()[number - 1].strip()


def explained(line: Line) -> bool:
    return MARK in line.text or any(name in line.text for name in OF_PYTHON)
