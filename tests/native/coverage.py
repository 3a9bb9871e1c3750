"""Which branches of the C core ran, by gcov; and those that no test can reach, with the reason."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from native.build import NATIVE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Line(NamedTuple):
    """A line that has branches."""

    file: str
    number: int
    text: str


UNREACHABLE = {
    ("index.c", "if (scan_type(btf, &at, err))"): "it went well before, unless the file changed",
    ("module.c", "PyTuple_SetItem"): "fails only behind the end",
    ("module.c", "PyList_SetItem"): "fails only behind the end",
    ("module.c", "Py_CLEAR"): "the macro asks for NULL, which its caller excludes",
}
"""By file and part of the line; each must still be there."""


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
            if not (NATIVE / name).is_file():
                continue
            lines = file["lines"]
            assert isinstance(lines, list)
            for line in lines:
                for nr, branch in enumerate(line["branches"]):
                    counts[name, line["line_number"], nr] += branch["count"]
    found = sorted({(name, number) for (name, number, _), count in counts.items() if not count})
    return [Line(name, number, text_of(name, number)) for name, number in found]


def text_of(name: str, number: int) -> str:
    return (NATIVE / name).read_text().splitlines()[number - 1].strip()


def explained(line: Line) -> bool:
    return any(line.file == file and part in line.text for file, part in UNREACHABLE)
