# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Progress of a long run, in one line on a terminal; nothing if standard error is not one."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kbtf.say import update_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_EVERY = 0.1  # seconds
_SLOW = 2.0  # seconds after which a module is named


class Progress:
    """The progress line, a `kbtf.jobs.task.Watch`."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._start = self._shown = time.monotonic()
        self._is_there = False

    def update(self, done: int, running: dict[int, float]) -> None:
        """Redraw the line, unless that was done just now."""
        now = time.monotonic()
        if now - self._shown < _EVERY:
            return
        self._shown = now
        rate = done / (now - self._start)
        line = f"{done:,} of {len(self._paths):,} modules, {rate:,.0f} a second"
        slow = sorted((began, at) for at, began in running.items() if now - began >= _SLOW)
        for began, at in slow[:1]:
            line += f"; {os.path.basename(self._paths[at])} takes {now - began:.0f} s so far"
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        update_status(line[: columns - 1])
        self._is_there = True

    def clear(self) -> None:
        """Make room for other lines."""
        if self._is_there:
            update_status("")
            self._is_there = False


@contextmanager
def progress(paths: Sequence[str]) -> Iterator[Progress | None]:
    """A line about the modules *paths* while they are worked on."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    line = Progress(paths)
    try:
        yield line
    finally:
        line.clear()
