# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The program, and `kbtf build` in this process."""

from __future__ import annotations

import sys
from pathlib import Path

from kbtf.program import main

KBTF = str(Path(sys.executable).with_name("kbtf"))


def build(*args: object) -> int:
    return main(["build", *map(str, args)])
