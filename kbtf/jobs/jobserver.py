# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A client of the jobserver of GNU make and ninja.

A process that is started holds one implicit token: one job may always run.  Each further job takes
a byte from the jobserver, and returns the same byte when it is done.
Source: the manual of GNU make, "POSIX Jobserver Interaction"; ninja since 1.13 has the fifo style.
"""

from __future__ import annotations

import os
import signal
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONS = ("--jobserver-auth=", "--jobserver-fds=")  # the second is that of make before 4.2
_FIFO = "fifo:"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Jobserver:
    """The tokens of one run, in addition to the implicit one.

    *read* and *write* are private descriptors; *read* does not block.
    """

    def __init__(self, read: int, write: int) -> None:
        self._read = read
        self._write = write
        self._tokens = bytearray()

    def fileno(self) -> int:
        """The descriptor that becomes readable when a token may be available."""
        return self._read

    @property
    def held(self) -> int:
        """The number of tokens taken."""
        return len(self._tokens)

    def acquire(self) -> bool:
        """Take a token if one is available."""
        # a signal's exception between reading and recording a token would lose it
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            token = os.read(self._read, 1)
            self._tokens += token
        except OSError:
            return False  # another process was faster
        else:
            return bool(token)  # none: the jobserver is gone
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def release(self) -> None:
        """Return one token."""
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            os.write(self._write, self._tokens[-1:])
        except OSError:
            pass  # the jobserver is gone, and its tokens with it
        finally:
            del self._tokens[-1:]
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def close(self) -> None:
        """Return all tokens."""
        while self._tokens:
            self.release()
        os.close(self._read)
        os.close(self._write)


class NoJobserver(Exception):  # noqa: N818 - not an error of ours
    """MAKEFLAGS names a jobserver that cannot be reached: only the implicit token remains."""


def has_jobserver(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether MAKEFLAGS names a jobserver."""
    return _named_in(environ.get("MAKEFLAGS", "")) is not None


def find_jobserver(environ: Mapping[str, str] = os.environ) -> Jobserver | None:
    """The jobserver that MAKEFLAGS names, None if there is none.

    NoJobserver if it is unreachable: make closes its descriptors for a recipe without ``+``.
    """
    auth = _named_in(environ.get("MAKEFLAGS", ""))
    if auth is None:
        return None
    if auth.startswith(_FIFO):
        return _open(auth.removeprefix(_FIFO), auth.removeprefix(_FIFO))
    read, _, write = auth.partition(",")
    if not read.isdecimal() or not write.isdecimal():
        raise NoJobserver(auth)  # make 4.4 passes -2,-2 to recipes without +
    # reopened: O_NONBLOCK on the inherited descriptor would apply to make and all its children
    return _open(f"/proc/self/fd/{read}", f"/proc/self/fd/{write}")


def _named_in(makeflags: str) -> str | None:
    found = None
    for word in makeflags.split():
        if word == "--":  # variables follow
            break
        for option in _OPTIONS:
            if word.startswith(option):
                found = word.removeprefix(option)
    return found


def _open(read: str, write: str) -> Jobserver:
    opened = []
    try:
        for path, mode in ((read, os.O_RDONLY), (write, os.O_WRONLY)):
            opened.append(os.open(path, mode | os.O_NONBLOCK | os.O_CLOEXEC))
            if not stat.S_ISFIFO(os.fstat(opened[-1]).st_mode):
                raise NoJobserver(path)
    except (OSError, NoJobserver) as error:
        for fd in opened:
            os.close(fd)
        raise NoJobserver(str(error)) from error
    return Jobserver(opened[0], opened[1])
