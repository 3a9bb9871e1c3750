# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whether users other than root can change a program that root will run."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def exposed(paths: Iterable[str]) -> str | None:
    """The first of *paths* and their parent directories that users other than root can change.

    For programs that will run as root.
    """
    for path in paths:
        real = os.path.realpath(path)
        while True:
            try:
                facts = os.stat(real)
            except OSError:
                break
            writable = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if facts.st_uid or (writable and not facts.st_mode & stat.S_ISVTX):
                return real
            if real == "/":
                break
            real = os.path.dirname(real)
    return None
