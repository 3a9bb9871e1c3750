# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What the lab keeps in the cache of the tests: made once, and removed when nobody uses it."""

from __future__ import annotations

import fcntl
import shutil
from typing import IO, TYPE_CHECKING

from oracles.build import cache_root, once

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

__all__ = ["kept", "remove_unused"]

_IN_USE: dict[str, IO[str]] = {}
"""Locks that this process has until it ends, also if it is killed."""


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """A part of the lab, for the rest of this process; *make* as `once` has it."""
    if name not in _IN_USE:
        lock = _open_lock(name)
        fcntl.flock(lock, fcntl.LOCK_SH)
        _IN_USE[name] = lock
    return once(cache_root() / name, make)


def remove_unused(pattern: str, keep: Collection[str]) -> None:
    """Remove the parts of these names that no process uses."""
    for path in cache_root().glob(pattern):
        if path.name not in keep:
            with _open_lock(path.name) as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                shutil.rmtree(path)


def _open_lock(name: str) -> IO[str]:
    # Not the lock of `once`, which one of several users needs for itself.
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    return open(root / f".{name}.used", "w")
