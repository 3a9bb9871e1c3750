# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""One place prints, and escapes what would steer a terminal or forge a line."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from kbtf.say import complain, say, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = sorted(path for top in ("kbtf", "plugins") for path in (ROOT / top).rglob("*.py"))
EVIL = "\x1b[2Jx\r\ny\a\u202e\u200b\udcff\nnot ok 1 - fake\nkbtf: error: fake"
BINARY = {"kbtf/cli/common.py", "kbtf/cli/commands/dump.py"}  # results; names were escaped before


def prints(path: Path) -> Iterator[str]:
    """All by which a file could print."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            text = ast.unparse(node)
            if text.startswith(("print(", "os.write(1", "os.write(2", "write_binary(")):
                yield text
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name.endswith(("stdout.write", "stderr.write", "print_exc", "stdout.buffer")):
                yield name


def test_one_place_prints() -> None:
    found = {
        (str(path.relative_to(ROOT)), what)
        for path in SHIPPED
        if path != ROOT / "kbtf/say.py"
        for what in prints(path)
    }
    for_developers = {file for file, _ in found if file == "kbtf/demo/make_demo.py"}
    assert {file for file, _ in found} - for_developers == BINARY
    assert all(what.startswith("write_binary(") for file, what in found if file in BINARY)


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    complain(EVIL)

    shown = r"\x1b[2Jx\r\ny\x07\u202e\u200b\xff\nnot ok 1 - fake\nkbtf: error: fake" + "\n"
    assert capsys.readouterr() == (shown, shown)
    assert visible(visible(EVIL)) == visible(EVIL)
