# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What a command takes: processor time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

SECONDS = 5.0
"""On a machine that adds a million numbers in 40 ms; on a slower one as much more."""
ADDITION = 40e-9
MEGABYTES = 300


class Cost(NamedTuple):
    """How a command ended, and what it took."""

    code: int
    seconds: float
    megabytes: float
    errors: str
    addition: float
    """The seconds of processor time that adding two numbers took in Python, right after it."""

    def mistakes(self) -> Iterable[str]:
        """What is wrong with it."""
        if self.seconds > SECONDS * max(1, self.addition / ADDITION):
            yield f"took {self.seconds:.1f} s"
        if self.megabytes > MEGABYTES:
            yield f"took {self.megabytes:.0f} MB"
        if self.code not in (0, 1, 3, 255):  # 255 is resolve_btfids' own
            yield f"exit code {self.code}: {self.errors[-300:]}"
        if "Traceback" in self.errors:
            yield self.errors[-300:]
        if self.code == 3 and self.errors.count("kbtf: error: ") > 1:
            yield f"more than one line: {self.errors[-300:]}"


def run(words: list[str], folder: Path, name: str = "kbtf") -> Cost:
    program = str(Path(sys.executable).with_name(name))
    variables = {**os.environ, "KBTF_CACHE_DIR": str(folder / "cache")}
    # what is measured must not begin as a copy of pytest
    code = (
        "import os, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (30, 30))\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))\n"
        "status = os.waitpid(os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)[1]\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss,"
        " file=open('cost', 'w'))\n"
    )
    with open(folder / "errors", "wb") as errors:
        subprocess.run(
            [sys.executable, "-c", code, "timeout", "60", program, *words],
            cwd=folder,
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            check=True,
        )
    exit_code, seconds, kilobytes = (folder / "cost").read_text().split()
    said = (folder / "errors").read_text(errors="replace")
    return Cost(int(exit_code), float(seconds), int(kilobytes) / 1024, said, time_of_addition())


def time_of_addition(number: int = 1_000_000) -> float:
    start = time.process_time()
    total = 0
    for term in range(number):
        total += term
    return (time.process_time() - start) / number
