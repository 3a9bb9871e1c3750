# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""No output of a command may replace another one, or something that it reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


def require_distinct(outputs: Iterable[str | None], inputs: Iterable[str | None]) -> None:
    """UsageError if two of *outputs* are one file, or if one is also among *inputs*.

    The file of a symbolic link counts, because that is what is replaced.
    """
    taken = {os.path.realpath(path): "is read, so it cannot be written" for path in inputs if path}
    for path in filter(None, outputs):
        name = os.path.realpath(path)
        if name in taken:
            raise UsageError(taken[name], file=path, hint="name another output")
        taken[name] = "would be written twice"
