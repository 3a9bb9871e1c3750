# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Small files that others wrote: configurations, plugins, what Kbuild and dkms left."""

from __future__ import annotations

import io
import os
import stat
from typing import NamedTuple

from kbtf.errors import KbtfError, os_error

_MOST_TEXT = 64 << 20
"""Bytes; the longest log of a build is shorter."""


class SmallFile(NamedTuple):
    """The contents of a file, and its status while it was read."""

    path: str
    data: bytes
    facts: os.stat_result

    @property
    def text(self) -> str:
        """The contents as UTF-8; a byte that is none is kept as a surrogate."""
        return self.data.decode("utf-8", "surrogateescape")

    def require_private(self) -> None:
        """KbtfError unless it belongs to the caller or to root, and nobody else can change it."""
        if self.facts.st_uid not in (0, os.geteuid()):
            raise KbtfError(
                f"belongs to user {self.facts.st_uid}, not to you or to root",
                file=self.path,
                hint="chown it if you trust its contents, or run kbtf in another directory",
            )
        writers = self.facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        # A user's private group, which most distributions create, admits nobody else.
        if writers == stat.S_IWGRP and self.facts.st_gid == self.facts.st_uid:
            return
        if writers:
            raise KbtfError(
                f"can be changed by other users (mode {stat.S_IMODE(self.facts.st_mode):04o})",
                file=self.path,
                hint="chmod go-w it if you trust its contents",
            )


def open_regular(path: str) -> io.BufferedReader:
    """A regular file, open for reading; KbtfError if it is anything else."""
    # O_NONBLOCK: opening a FIFO would block
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    file = open(number, "rb")  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise KbtfError("is not a regular file", file=path)
    return file


def read_small(path: str, most: int = _MOST_TEXT) -> SmallFile | None:
    """A regular file of at most *most* bytes; None if there is no such file.

    KbtfError if it is anything else, MachineError if the system refuses it.
    """
    try:
        with open_regular(path) as file:
            facts = os.fstat(file.fileno())
            data = file.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise os_error(error, path) from error
    if len(data) > most:
        raise KbtfError(f"is larger than {most} bytes", file=path)
    return SmallFile(path, data, facts)


def text_if_readable(path: str) -> str:
    """The text of a file; empty if there is none that `read_small` reads."""
    try:
        file = read_small(path)
    except KbtfError:
        return ""
    return file.text if file else ""
