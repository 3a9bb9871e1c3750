# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Archives as an initramfs has them, made by cpio."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from conftest import missing
from kbtf.kernel.initramfs import early_modules

if TYPE_CHECKING:
    from pathlib import Path


def cpio(folder: Path, files: dict[str, bytes]) -> bytes:
    """What ``cpio -H newc`` makes of files that are laid out in *folder*."""
    if not shutil.which("cpio"):
        missing("cpio is not installed")
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    names = "\n".join(sorted(os.path.relpath(p, folder) for p in folder.rglob("*")))
    return subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"],
        cwd=folder,
        input=names.encode(),
        capture_output=True,
        check=True,
    ).stdout


def carried(image: Path) -> dict[str, bytes]:
    """The modules of an image by path."""
    return {module.path: module.data for module in early_modules(str(image))}
