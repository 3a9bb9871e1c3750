# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What docs/packaging.md shows, for it is what the tests run, and the programs to run it with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["PACKAGING", "ROOT", "block", "with_kbtf"]

ROOT = Path(__file__).parent.parent.parent
PACKAGING = ROOT / "packaging"


def block(name: str) -> str:
    """The code block behind the mark of that name."""
    text = (ROOT / "docs" / "packaging.md").read_text()
    _, found, rest = text.partition(f"<!-- test: {name} -->\n")
    assert found, name
    return rest.split("```")[1].partition("\n")[2]


def with_kbtf(**more: str) -> dict[str, str]:
    """An environment with the kbtf that is tested first on PATH, and no variable of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("KBTF_")}
    return {**env, "PATH": f"{Path(sys.executable).parent}:{env['PATH']}", **more}
