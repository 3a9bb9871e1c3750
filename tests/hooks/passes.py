# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Plugins in files, and a run with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.program import main

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["from kbtf import KbtfError, hookimpl", *lines, ""]))
    return path


def run(module: Path, *args: object) -> int:
    return main(["run", "--base", "vmlinux.btf", *map(str, args), str(module)])
