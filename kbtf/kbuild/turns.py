# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Serialise builds of one directory: two makes would write the same objects at the same time."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kbtf.errors import os_error
from kbtf.say import complain

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def taking_turns(folder: str) -> Iterator[None]:
    """Wait until no other ``kbtf build`` works in *folder*, and lock it."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise os_error(error, folder) from error
    try:
        # Inside the make of another build, this would wait for that build.
        if "KBTF_STEP" not in os.environ:
            _wait(fd, folder)
        yield
    finally:
        os.close(fd)


def _wait(fd: int, folder: str) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        complain(f"kbtf: waiting for another build of {folder}")
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError:
        pass  # NFS, for example, cannot lock directories
