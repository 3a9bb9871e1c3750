# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""How all three programs start and end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import kbtf
from kbtf.version import VERSION
from shown import sh

PROGRAMS = {
    "kbtf": "kbtf.cli",
    "kbtf_pahole": "kbtf.kbuild.pahole.program",
    "kbtf_resolve_btfids": "kbtf.kbuild.resolver",
}
# Runs a program whose run() does something else.
ENTRY = """
import os, signal, sys
import kbtf.program, {module} as program
from kbtf.errors import KbtfError

def run(args):
    {body}
    return 0

program.run = run
sys.exit(kbtf.program.{entry}())
"""
TRUNCATE = """
    import mmap
    with open("cut", "w+b") as file:
        file.write(bytes(4096))
        file.flush()
        view = mmap.mmap(file.fileno(), 4096)
        file.truncate(0)
        view[0]
"""
# What happens in run(): the exit code, what is printed; None: as the program's errors.
ENDS = {
    "nothing": ("pass", 0, ""),
    "bad input": ("raise KbtfError('is bad', file='f')", None, "error: f: is bad\n"),
    "a missing file": ("open('missing')", None, "error: missing: no such file or directory\n"),
    "a refusal": ("os.kill(1 << 22, 0)", None, "error: no such process\n"),
    "no memory": ("raise MemoryError", None, "error: out of memory\n"),
    "a truncated file": (TRUNCATE, 4, "error: a file was truncated or cannot be read\n"),
    "a reader that is gone": ("raise BrokenPipeError", 0, ""),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT)", 130, ""),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", 143, ""),
    "SIGHUP": ("os.kill(os.getpid(), signal.SIGHUP)", 143, ""),
}
CODES = {"bad input": 3, "a missing file": 3, "a refusal": 4, "no memory": 4}


def ended(entry: str, body: str, *before: str) -> subprocess.CompletedProcess[str]:
    code = ENTRY.format(entry=entry, module=PROGRAMS[entry], body=body)
    return subprocess.run(
        [*before, sys.executable, "-c", code], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("entry", PROGRAMS)
@pytest.mark.parametrize("end", ENDS)
def test_every_program_ends_alike(run_dir: Path, entry: str, end: str) -> None:
    body, code, said = ENDS[end]
    if code is None:
        # resolve_btfids has one code for all errors
        code = 255 if entry == "kbtf_resolve_btfids" else CODES[end]

    done = ended(entry, body)

    assert done.returncode == code, done.stderr
    assert done.stderr.endswith(said)
    assert len(done.stderr.splitlines()) == len(said.splitlines())


@pytest.mark.parametrize("entry", PROGRAMS)
def test_nohup_is_heeded(run_dir: Path, entry: str) -> None:
    assert ended(entry, "os.kill(os.getpid(), signal.SIGHUP)", "nohup").returncode == 0


@pytest.mark.parametrize("entry", PROGRAMS)
def test_output_that_cannot_be_written_is_an_error(run_dir: Path, entry: str) -> None:
    done = ended(entry, "print('text')", "sh", "-c", 'exec "$@" >/dev/full', "sh")

    assert done.returncode == (255 if entry == "kbtf_resolve_btfids" else 4)
    assert done.stderr.endswith("no space left on device\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("lines", [1, 100_000], ids=["little", "much"])
@pytest.mark.parametrize("entry", PROGRAMS)
def test_without_a_reader_the_code_of_the_command_holds(
    run_dir: Path, entry: str, lines: int
) -> None:
    body = f"from kbtf.say import say; say(*range({lines})); open('done', 'w'); return 1"
    done = ended(entry, body, "bash", "-c", '"$@" | true; exit ${PIPESTATUS[0]}', "bash")

    assert (done.returncode, done.stderr) == (1, "")
    assert (run_dir / "done").exists()


def test_python_m_kbtf_is_kbtf(run_dir: Path) -> None:
    assert sh("python -m kbtf --version", run_dir) == f"kbtf {VERSION}\n"


def test_the_version_is_an_attribute() -> None:
    assert kbtf.__version__ == VERSION


LATE = {
    "a function": "import atexit; atexit.register(print, 'done at the end')",
    "a thread": "import threading as t; t.Timer(0.1, print, ['done at the end']).start()",
}


@pytest.mark.parametrize("left", LATE)
def test_what_a_plugin_left_for_the_interpreters_end_is_done(run_dir: Path, left: str) -> None:
    (run_dir / "late.py").write_text(f"{LATE[left]}\nfrom kbtf import hookimpl\n")
    assert "done at the end\n" in sh("kbtf plugins -p ./late.py", run_dir)


# What prints something when Python ends in the usual way.
WATCHERS = {
    "-m cProfile": "function calls",
    "-m trace --listfuncs": "functions called",
}


@pytest.mark.parametrize("watcher", WATCHERS)
def test_what_watches_the_program_sees_its_end(run_dir: Path, watcher: str) -> None:
    program = Path(sys.executable).with_name("kbtf")
    done = sh(f"{sys.executable} {watcher} {program} --version 2>&1", run_dir)
    assert f"kbtf {VERSION}\n" in done
    assert WATCHERS[watcher] in done


def test_nothing_is_taken_apart_where_nothing_acts_at_the_end(run_dir: Path) -> None:
    body = "global late; late = type('Late', (), {'__del__': lambda self: print('freed')})()"
    assert ended("kbtf", body).stdout == ""
