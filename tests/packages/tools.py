# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Where the files for distributors are, and the programs to run them with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["PACKAGING", "ROOT", "with_kbtf"]

ROOT = Path(__file__).parent.parent.parent
PACKAGING = ROOT / "packaging"


def with_kbtf(**more: str) -> dict[str, str]:
    """An environment with the kbtf that is tested first on PATH, and no variable of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("KBTF_")}
    return {**env, "PATH": f"{Path(sys.executable).parent}:{env['PATH']}", **more}
