# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The programs end at once, but not where somebody else's code waits for the interpreter's end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

KBTF = Path(sys.executable).with_name("kbtf")


def output(*command: str | Path) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_what_a_plugin_left_for_the_interpreters_end_is_done(run_dir: Path) -> None:
    (run_dir / "late.py").write_text(
        "import atexit\nfrom kbtf import hookimpl\natexit.register(print, 'done at the end')\n"
    )
    assert output(KBTF, "plugins", "-p", "./late.py").endswith("\ndone at the end\n")


def test_objects_of_a_plugin_are_taken_apart(run_dir: Path) -> None:
    (run_dir / "held.py").write_text(
        "class Held:\n    def __del__(self, say=print):\n        say('let go')\nheld = Held()\n"
    )
    assert output(KBTF, "plugins", "-p", "./held.py").endswith("\nlet go\n")


def test_a_profiler_tells_what_it_saw(run_dir: Path) -> None:
    assert "function calls" in output(sys.executable, "-m", "cProfile", KBTF, "--version")


def test_one_may_go_on_in_the_interpreter(run_dir: Path) -> None:
    command = [sys.executable, "-i", str(KBTF), "--version"]
    done = subprocess.run(command, input="print(6 * 7)\n", capture_output=True, text=True)
    assert done.stdout.endswith("42\n")
