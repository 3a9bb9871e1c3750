# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Running the stand-ins as Kbuild does, beside what they stand in for."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path
from typing import NamedTuple

PAHOLE = Path(sysconfig.get_path("scripts"), "kbtf-pahole")
RESOLVE_BTFIDS = Path(sysconfig.get_path("scripts"), "kbtf-resolve-btfids")


class Said(NamedTuple):
    """How a program ended, and its lines."""

    code: int
    out: str
    err: list[str]

    @property
    def words(self) -> list[str]:
        """What both say, without what only libbpf or only the stand-in explains."""
        own = ("libbpf: ", "kbtf-resolve-btfids: ", "kbtf-pahole: ")
        return [line for line in self.err if not line.startswith(own)]


def call(program: Path | str, *args: object, env: dict[str, str] | None = None) -> Said:
    """Run a program in the current directory."""
    command = [str(program), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    return Said(done.returncode, done.stdout, done.stderr.splitlines())
