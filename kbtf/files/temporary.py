# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Temporary files next to the file that they will replace.

One stays locked while its run is alive, so the next run recognises the remnants of a killed one by
their free lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress

MARK = ".kbtf-"
"""Part of the name of each temporary."""
_RANDOM_BYTES = 8
_ATTEMPTS = 100  # attempts to create a temporary that no other run mistakes for a remnant
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Temporary:
    """A new, locked file next to the file *name* of the open directory *folder*."""

    def __init__(self, folder: int, name: str) -> None:
        self._folder = folder
        self._stem = _stem_of(folder, name)
        self.name = ""
        """Its name, from before it exists until it is renamed or removed."""
        self.file = -1
        """Its descriptor; -1 while it is not open."""

    def create(self, mode: int) -> int:
        """Create it, and know that it still exists after it was locked; its descriptor."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        for _ in range(_ATTEMPTS):
            # the name is stored first: a signal's exception may arrive as soon as the file exists
            self.name = self._stem + os.urandom(_RANDOM_BYTES).hex()
            try:
                self.file = os.open(self.name, flags, mode, dir_fd=self._folder)
            except FileExistsError:
                self.name = ""
                continue
            if _lock(self.file) and _is_at(self._folder, self.name, self.file):
                return self.file
            # between creation and locking, another run mistook it for a remnant
            self.unlink()
            self.close()
        raise OSError(errno.EBUSY, "other runs remove each temporary file")

    def remove_remnants(self, names: list[str], owner: int | None) -> None:
        """Remove those of killed runs for the same file that are in *names*, as far as possible.

        *owner* is that of the file, None if there is none.
        """
        owners = {0, os.geteuid(), owner}  # a run may be killed after it changed the owner
        for name in names:
            if name != self.name and self._is_one(name):
                with suppress(OSError):
                    _remove_if_unlocked(self._folder, name, owners)

    def _is_one(self, name: str) -> bool:
        digits = name.removeprefix(self._stem)
        return digits != name and _is_random(digits)

    def rename(self, name: str) -> None:
        """Give it its final *name*."""
        os.rename(self.name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self.name = ""

    def unlink(self) -> None:
        """Remove it, unless it was renamed; if that fails, the next run does it."""
        if self.name:
            with suppress(OSError):
                os.unlink(self.name, dir_fd=self._folder)
            self.name = ""

    def close(self) -> None:
        """Close its descriptor."""
        if self.file >= 0:
            close(self.file)
            self.file = -1


def _stem_of(folder: int, name: str) -> str:
    """The prefix, before the random digits, of the names of *name*'s temporaries.

    A *name* that is too long to add to is truncated.
    """
    longest = os.fpathconf(folder, "PC_NAME_MAX") - len("." + MARK) - 2 * _RANDOM_BYTES
    while len(os.fsencode(name)) > longest:
        name = name[:-1]
    return f".{name}{MARK}"


def _is_random(digits: str) -> bool:
    return len(digits) == 2 * _RANDOM_BYTES and not digits.strip("0123456789abcdef")


def _remove_if_unlocked(folder: int, name: str, owners: set[int | None]) -> None:
    """Remove a temporary that no run holds.  Raises BlockingIOError if one does."""
    facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid not in owners:
        return
    file = _open_to_lock(folder, name)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(folder, name, file):
            os.unlink(name, dir_fd=folder)
    finally:
        close(file)


def _open_to_lock(folder: int, name: str) -> int:
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(name, os.O_RDWR | flags, dir_fd=folder)  # NFS locks only writable files
    except PermissionError:
        return os.open(name, os.O_RDONLY | flags, dir_fd=folder)


def _lock(file: int) -> bool:
    """Lock our own file; False if another run was faster.

    On a file system without locks, no run finds a lock free and removes the file.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _is_at(folder: int, name: str, file: int) -> bool:
    """Whether *name* is a name of the open *file*."""
    try:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(file))


def close(file: int) -> None:
    """Close *file*: any error was already reported by fsync."""
    with suppress(OSError):
        os.close(file)
