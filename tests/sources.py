# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A copy of the project's own files, as a release would have them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

__all__ = ["ROOT", "copy_sources"]

ROOT = Path(__file__).parent.parent


def copy_sources(into: Path) -> Path:
    """All files that are in git or new, and nothing that was built."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, into / name
        if source.is_symlink() or source.is_file():  # or it was removed
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return into
