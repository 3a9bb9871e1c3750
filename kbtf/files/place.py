# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Where a file is to be written: resolved once, through open directories that nobody can swap.

Path names are resolved here rather than by the kernel: a symbolic link that another user can
create, or swap for a file at any moment, must not lead to a file that is not that user's.  This
covers more than the kernel's protected_symlinks (Documentation/admin-guide/sysctl/fs.rst), which
only applies to sticky directories.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import NamedTuple

from kbtf.errors import KbtfError, MachineError, os_error, reason

_PATH_ONLY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_LINKS = 40  # as in the kernel: MAXSYMLINKS
_SHARED = stat.S_ISVTX | stat.S_IWOTH


class Place(NamedTuple):
    """An open directory, and the name of a file in it, which need not exist."""

    folder: int
    folder_name: str
    name: str
    strangers: frozenset[int]
    """Users, neither the caller nor root, whose symbolic links led here."""

    def check(self, facts: os.stat_result, path: str) -> None:
        """KbtfError unless this may be replaced: the file, or the directory of a new one."""
        if self.strangers - {facts.st_uid}:
            user = min(self.strangers)
            raise MachineError(
                f"a symbolic link of user {user} leads to a file of another user",
                file=path,
                hint="name the file itself",
            )


def open_place(path: str) -> Place:
    """The place of *path* after following all symbolic links; the caller closes its directory.

    KbtfError if *path* cannot be that of a file, MachineError if the system refuses it, or if it
    follows another user's symbolic link in a sticky world-writable directory.
    """
    _require_file(path)
    if path.endswith("/"):
        raise KbtfError("is not the name of a file", file=path)
    walk = _Walk(path)
    try:
        return walk.to_the_end()
    except OSError as error:
        os.close(walk.folder)
        raise _failure(error, walk.folder_name, path) from error
    except BaseException:
        os.close(walk.folder)
        raise


def _require_file(path: str) -> None:
    """KbtfError if something other than a regular file is there, to report that early."""
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return  # a new file, or a link to one
    except OSError as error:
        raise os_error(error, path) from error
    if not stat.S_ISREG(facts.st_mode):
        raise KbtfError("is not a regular file", file=path)


def _failure(error: OSError, folder: str, path: str) -> KbtfError:
    if isinstance(error, FileNotFoundError):
        return KbtfError(f"directory {folder!r} does not exist", file=path)
    return MachineError(f"cannot open directory {folder!r}: {reason(error)}", file=path)


class _Walk:
    """A path that is resolved part by part."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.folder = os.open("/" if path.startswith("/") else ".", _PATH_ONLY)
        self.folder_name = "/" if path.startswith("/") else ""
        self._todo = _parts(path)
        self._links = 0
        self._strangers: set[int] = set()

    def to_the_end(self) -> Place:
        while self._todo:
            part = self._todo.pop()
            entry = self._open(part)
            if entry is not None and stat.S_ISLNK(os.fstat(entry).st_mode):
                self._follow(entry, part)
            elif self._todo:
                self.folder_name = os.path.join(self.folder_name, part)
                self._enter(entry)
            else:
                if entry is not None:
                    os.close(entry)
                return self._found(part)
        raise KbtfError("is not the name of a file", file=self.path)

    def _open(self, part: str) -> int | None:
        try:
            return os.open(part, _PATH_ONLY, dir_fd=self.folder)
        except FileNotFoundError:
            return None

    def _enter(self, folder: int | None) -> None:
        if folder is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        os.close(self.folder)
        self.folder = folder

    def _follow(self, link: int, part: str) -> None:
        try:
            self._links += 1
            if self._links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            self._require_followable(os.fstat(link), part)
            target = os.readlink("", dir_fd=link)
        finally:
            os.close(link)
        if target.startswith("/"):
            self._enter(os.open("/", _PATH_ONLY))
            self.folder_name = "/"
        self._todo += _parts(target)

    def _require_followable(self, link: os.stat_result, part: str) -> None:
        around = os.fstat(self.folder)
        caller = os.geteuid()
        shared = around.st_mode & _SHARED == _SHARED
        if shared and link.st_uid not in (caller, around.st_uid):
            raise MachineError(
                f"symbolic link {os.path.join(self.folder_name, part)!r} belongs to user "
                f"{link.st_uid}, in a world-writable directory",
                file=self.path,
                hint="remove it, or name another file",
            )
        if link.st_uid not in (0, caller):
            self._strangers.add(link.st_uid)

    def _found(self, name: str) -> Place:
        # directories on the way are open for their path only
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.folder)
        with suppress(OSError):
            os.close(self.folder)
        return Place(folder, self.folder_name or ".", name, frozenset(self._strangers))


def _parts(path: str) -> list[str]:
    """The parts of a path, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
