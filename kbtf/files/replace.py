# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Replace a file atomically: completely or not at all.

New content goes into a temporary file next to the target, which is renamed over the target once
it is complete.  It stays locked while its run is alive, so the next run recognises the remnants of
a killed one by their free lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from kbtf.errors import KbtfError, MachineError, os_error, reason
from kbtf.files.attributes import copy_attributes
from kbtf.files.pieces import Pieces
from kbtf.files.place import Place, open_place
from kbtf.say import complain

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = ".kbtf-"
_RANDOM_BYTES = 8
_ATTEMPTS = 100  # attempts to create a temporary that no other run mistakes for a remnant
_NOWHERE = Place(-1, "", "", frozenset())
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Written(NamedTuple):
    """Whether the target was replaced or already had the data, and notes for the user."""

    replaced: bool
    notes: list[str]
    warnings: tuple[str, ...] = ()


def replace_file(
    path: str, data: bytes | memoryview | Pieces, *, like: str | None = None
) -> Written:
    """Make *data* the content of *path*, or leave *path* as it was.

    A file that already has *data* is not touched.  Mode, owner and extended attributes are kept; a
    new file takes those of *like*.  The target of a symbolic link is replaced, a hard link is
    broken.  Raises MachineError if the system refuses, KbtfError if *path* cannot be an output.
    """
    replacement = Replacement(path)
    try:
        if not replacement.stage(data, like=like):
            return Written(False, [])
        replacement.flush()
        replacement.commit()
        replacement.flush_folder()
        return Written(True, replacement.notes, tuple(replacement.warnings))
    finally:
        replacement.close()


def replace_and_warn(
    path: str, data: bytes | memoryview | Pieces, *, like: str | None = None, program: str = "kbtf"
) -> None:
    """`replace_file`, with its warnings on standard error."""
    for warning in replace_file(path, data, like=like).warnings:
        complain(f"{program}: warning: {path}: {warning}")


def remove_file(path: str) -> None:
    """Remove *path*, even if it is a link, and the remnants of killed runs; it need not exist."""
    folder_name, name = os.path.split(os.path.abspath(path))
    with _naming(path, f"cannot write in directory {folder_name!r}"), suppress(FileNotFoundError):
        folder = os.open(folder_name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            owner = _owner_of(name, folder)
            _remove_remnants(folder, _temporary_stem(folder, name), os.listdir(folder), owner)
            os.unlink(name, dir_fd=folder)  # last, because its owner shows which remnants are ours
        finally:
            _close(folder)


class Replacement:
    """The next content of one file, under a temporary name until `commit`.

    The steps are `stage`, `flush`, `commit`, `flush_folder`, and in any case `close`.  Each raises
    the errors of `replace_file`.
    """

    __slots__ = ("_files", "_place", "_temporary", "notes", "path", "warnings")

    def __init__(self, path: str) -> None:
        self.path = path
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self._files: list[int] = []  # the temporary is the last one
        self._place = _NOWHERE
        self._temporary: str | None = None  # its name, from before it exists until it is renamed

    def stage(
        self,
        data: bytes | memoryview | Pieces,
        *,
        like: str | None = None,
        listed: dict[str, list[str]] | None = None,
    ) -> bool:
        """Write *data* under a temporary name; False, and nothing is written, if the file has it.

        Removes remnants of killed runs for this file.  A batch keeps the remnants in *listed*, so
        that it lists each directory once.
        """
        self._place = open_place(self.path)
        content = data if isinstance(data, Pieces) else Pieces([data])
        with _naming(self.path, "cannot read it"):
            old = self._open_old()
            unchanged = old is not None and content.is_all_of(old)
        model = old if old is not None else self._open_model(like)
        with _naming(self.path, f"cannot write in directory {self._place.folder_name!r}"):
            stem = _temporary_stem(self._place.folder, self._place.name)
            owner = None if model is None else os.fstat(model).st_uid
            _remove_remnants(self._place.folder, stem, self._list_remnants(listed), owner)
            if unchanged:
                return False
            # without a model, the system's defaults apply: umask, default ACL
            temporary = self._create(stem, 0o666 if model is None else 0o600)
            content.write_to(temporary)
            if model is not None:
                # a new file loses nothing that its user has to know about
                copy_attributes(model, temporary, self.notes if old is not None else [])
                self._warn_of_owner(model, temporary)
        if old is not None and (names := os.fstat(old).st_nlink) > 1:
            others = "another name" if names == 2 else f"{names - 1} other names"
            self.notes.append(f"hard link broken: the old content stays under {others}")
        return True

    def flush(self) -> None:
        """Flush the staged file to disk, unless nothing changes."""
        if self._temporary is None:
            return
        with _naming(self.path, f"cannot write in directory {self._place.folder_name!r}"):
            os.fsync(self._files[-1])

    def commit(self) -> None:
        """Replace the file by the staged one, unless nothing changes."""
        if self._temporary is None:
            return
        with _naming(self.path, f"cannot replace it in directory {self._place.folder_name!r}"):
            folder, name = self._place.folder, self._place.name
            os.rename(self._temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        self._temporary = None

    def flush_folder(self) -> None:
        """Flush the new name to disk; the file is already replaced, so a failure is only a note."""
        try:
            os.fsync(self._place.folder)
        except OSError as error:
            # some file systems do not support fsync of a directory
            if error.errno != errno.EINVAL:
                self.notes.append(f"may not survive a power failure: {reason(error)}")

    @property
    def folder(self) -> int:
        """The directory of the file, open since `stage`."""
        return self._place.folder

    def release_old(self) -> None:
        """Close what `stage` opened besides the temporary: a batch keeps few files open."""
        while len(self._files) > 1:
            _close(self._files.pop(0))

    def close(self) -> None:
        """Remove the temporary if it was not committed, and close all files."""
        self._discard()
        while self._files:
            _close(self._files.pop())
        if self._place is not _NOWHERE:
            _close(self._place.folder)
            self._place = _NOWHERE

    def _open_old(self) -> int | None:
        """The current file, if there is one."""
        place = self._place
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._files.append(os.open(place.name, flags, dir_fd=place.folder))
        except FileNotFoundError:
            place.check(os.fstat(place.folder), self.path)
            return None
        facts = os.fstat(self._files[-1])
        if not stat.S_ISREG(facts.st_mode):
            raise KbtfError("is not a regular file", file=self.path)
        place.check(facts, self.path)
        return self._files[-1]

    def _warn_of_owner(self, old: int, new: int) -> None:
        owner = os.fstat(new).st_uid
        if owner == os.fstat(old).st_uid != os.geteuid():
            self.warnings.append(f"still belongs to user {owner}, who can change it")

    def _open_model(self, like: str | None) -> int | None:
        """The file whose attributes a new one takes; None if there is none worth copying."""
        if like is None:
            return None
        try:
            self._files.append(os.open(like, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))
            return self._files[-1] if stat.S_ISREG(os.fstat(self._files[-1]).st_mode) else None
        except OSError as error:
            raise os_error(error, like) from error

    def _list_remnants(self, listed: dict[str, list[str]] | None) -> list[str]:
        """The names in the directory that may be temporaries."""
        if listed is not None and self._place.folder_name in listed:
            return listed[self._place.folder_name]
        names = [name for name in os.listdir(self._place.folder) if _MARK in name]
        if listed is not None:
            listed[self._place.folder_name] = names
        return names

    def _create(self, stem: str, mode: int) -> int:
        """A new temporary file, locked, and known to still exist after it was locked."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        for _ in range(_ATTEMPTS):
            # the name is stored first: a signal's exception may arrive as soon as the file exists
            self._temporary = stem + os.urandom(_RANDOM_BYTES).hex()
            try:
                file = os.open(self._temporary, flags, mode, dir_fd=self._place.folder)
            except FileExistsError:
                self._temporary = None
                continue
            self._files.append(file)
            if _lock(file) and _is_at(self._place.folder, self._temporary, file):
                return file
            self._discard()  # between creation and locking, another run mistook it for a remnant
            _close(self._files.pop())
        raise OSError(errno.EBUSY, "other runs remove each temporary file")

    def _discard(self) -> None:
        """Remove the temporary; if that fails, the next run does it."""
        if self._temporary is not None:
            with suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._place.folder)
            self._temporary = None


def _temporary_stem(folder: int, name: str) -> str:
    """The prefix, before the random digits, of the names of *name*'s temporaries.

    A *name* that is too long to add to is truncated.
    """
    longest = os.fpathconf(folder, "PC_NAME_MAX") - len("." + _MARK) - 2 * _RANDOM_BYTES
    while len(os.fsencode(name)) > longest:
        name = name[:-1]
    return f".{name}{_MARK}"


def _remove_remnants(folder: int, stem: str, names: list[str], owner: int | None) -> None:
    """Remove the temporaries of killed runs, as far as possible."""
    owners = {0, os.geteuid(), owner}  # a run may be killed after it changed the owner of the file
    for name in names:
        if name.startswith(stem) and _is_random(name[len(stem) :]):
            with suppress(OSError):
                _remove_if_unlocked(folder, name, owners)


def _owner_of(name: str, folder: int) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid
    except FileNotFoundError:
        return None


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
        _close(file)


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


@contextmanager
def _naming(path: str, failure: str) -> Iterator[None]:
    """Turn a system error into one that names the failed operation and the file."""
    try:
        yield
    except OSError as error:
        raise MachineError(f"{failure}: {reason(error)}", file=path) from error


def _close(file: int) -> None:
    """Close *file*: any error was already reported by fsync."""
    with suppress(OSError):
        os.close(file)
