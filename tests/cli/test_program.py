# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The programs end at once, but not where somebody else's code waits for the interpreter's end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shown import sh

if TYPE_CHECKING:
    from pathlib import Path


def test_what_a_plugin_left_for_the_interpreters_end_is_done(run_dir: Path) -> None:
    (run_dir / "late.py").write_text(
        "import atexit\nfrom kbtf import hookimpl\natexit.register(print, 'done at the end')\n"
    )
    assert sh("kbtf plugins -p ./late.py", run_dir).endswith("\ndone at the end\n")


def test_objects_of_a_plugin_are_taken_apart(run_dir: Path) -> None:
    (run_dir / "held.py").write_text(
        "class Held:\n    def __del__(self, say=print):\n        say('let go')\nheld = Held()\n"
    )
    assert sh("kbtf plugins -p ./held.py", run_dir).endswith("\nlet go\n")


def test_a_profiler_tells_what_it_saw(run_dir: Path) -> None:
    assert "function calls" in sh("python -m cProfile $(command -v kbtf) --version", run_dir)


def test_one_may_go_on_in_the_interpreter(run_dir: Path) -> None:
    said = sh("echo 'print(6 * 7)' | python -i $(command -v kbtf) --version", run_dir)
    assert said.endswith("42\n")
