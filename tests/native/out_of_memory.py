# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Allocations of ``kbtf run`` fail: it says so in one line, the module is the old or the new one.

    out_of_memory.py FOLDER EVERY

FOLDER has vmlinux.btf and old.ko.  Fails each EVERYth allocation alone, then from each on all of a
page or more: that all fail is more than Python itself survives.  Needs what extension.py does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kbtf.program import main

if TYPE_CHECKING:
    from collections.abc import Callable

library = ctypes.CDLL(None)
library.has_failed.restype = ctypes.c_bool
NOT_REACHED = 99
SECONDS = 20


def run(folder: Path) -> int:
    return main(["run", "-q", "--base", str(folder / "vmlinux.btf"), str(folder / "a.ko")])


def is_ours(error: Exception) -> bool:
    """Whether *error* comes from kbtf, and not from a library of Python's that lost the reason."""
    innermost = error.__traceback__
    while innermost and innermost.tb_next:
        innermost = innermost.tb_next
    is_kbtf = innermost is not None and "/kbtf/" in innermost.tb_frame.f_code.co_filename
    return is_kbtf and not isinstance(error, MemoryError)


def child(folder: Path, fail: Callable[[int], None], after: int) -> None:
    """One run with a failure; ends the process."""
    stderr = os.open(folder.parent / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(stderr, 2)
    signal.alarm(SECONDS)
    fail(after)
    try:
        code = run(folder)
    except Exception as error:
        if is_ours(error):
            raise
        code = 4
    failed = library.has_failed()
    library.fail_allocation(-1)
    sys.stderr.flush()
    os._exit(code if failed else NOT_REACHED)


def problem_with(folder: Path, fail: Callable[[int], None], after: int, new: bytes) -> str | None:
    """What went wrong with that failure, or None; "end" if it was not reached."""
    old = (folder / "old.ko").read_bytes()
    (folder / "a.ko").write_bytes(old)
    pid = os.fork()
    if not pid:
        child(folder, fail, after)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    said = (folder.parent / "stderr").read_text()
    found = (folder / "a.ko").read_bytes()
    left = sorted(os.listdir(folder))
    if code == NOT_REACHED:
        return "end"
    # Python itself may lose the reason: "error return without exception set"
    named = "memory" in said or "SystemError" in said
    in_words = not said or (named and said.count("\n") == 1)
    if code not in (0, 4) or (code and not in_words):
        return f"exit code {code}: {said!r}"
    if found not in (old, new) or (not code and found != new):
        return f"exit code {code} with {'the old' if found == old else 'another'} module"
    return None if left == ["a.ko", "old.ko", "vmlinux.btf"] else f"left behind: {left}"


def try_each(folder: Path, fail: Callable[[int], None], every: int, new: bytes) -> int:
    """How many failures were tried; they end where the run needs no more allocations."""
    tried = 0
    while True:
        problem = problem_with(folder, fail, tried * every, new)
        if problem == "end":
            return tried
        if problem:
            print(f"{fail.__name__} {tried * every}: {problem}", flush=True)
        tried += 1


def try_all(folder: Path, every: int) -> None:
    module = folder / "a.ko"
    for _ in range(2):  # so that all is imported
        module.write_bytes((folder / "old.ko").read_bytes())
        assert run(folder) == 0
    new = module.read_bytes()
    tried = try_each(folder, library.fail_allocation, every, new)
    large = try_each(folder, library.fail_large_allocations, 1, new)
    print(f"tried {tried} and {large}")


if __name__ == "__main__":
    try_all(Path(sys.argv[1]), int(sys.argv[2]))
