"""Replace a file whole or not at all.

New content goes into a temporary file beside the target, which is renamed over the target once
it is complete.  Its run keeps it locked, so that the next run knows the remains of a killed one
by their free lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from kbtf.elf.attributes import copy_attributes
from kbtf.elf.pieces import Pieces
from kbtf.errors import KbtfError, MachineError, os_error
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20
_MARK = ".kbtf-"
_RANDOM_BYTES = 8
_ATTEMPTS = 100  # to create a temporary that no other run takes for a remnant
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Written(NamedTuple):
    """Whether the target was replaced or held the data already, and what to tell its user."""

    replaced: bool
    notes: list[str]


def replace_file(
    path: str, data: bytes | memoryview | Pieces, *, like: str | None = None
) -> Written:
    """Make *data* the content of *path*, or leave *path* as it was.

    A file that holds *data* already is not touched.  Mode, owner and extended attributes are kept;
    a new file takes those of *like*.  What a symbolic link points to is replaced, a hard link is
    broken.  Raises MachineError if the system refuses, KbtfError if *path* can be no output.
    """
    replacement = Replacement(path)
    try:
        if not replacement.stage(data, like=like):
            return Written(False, [])
        replacement.flush()
        replacement.commit()
        replacement.flush_folder()
        return Written(True, replacement.notes)
    finally:
        replacement.close()


class Replacement:
    """The next content of one file, under a temporary name until `commit`.

    The steps are `stage`, `flush`, `commit`, `flush_folder`, and `close` whatever happened.  Each
    raises as `replace_file` does.
    """

    __slots__ = ("_files", "_folder", "_folder_name", "_name", "_temporary", "notes", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.notes: list[str] = []
        self._files: list[int] = []  # the temporary is the last one
        self._folder = -1
        self._folder_name = ""
        self._name = ""
        self._temporary: str | None = None  # its name, from before it exists until it is renamed

    def stage(
        self,
        data: bytes | memoryview | Pieces,
        *,
        like: str | None = None,
        listed: dict[str, list[str]] | None = None,
    ) -> bool:
        """Write *data* under a temporary name; False, and nothing written, if it is there already.

        Removes what killed runs left of this file.  A batch keeps in *listed* which remnants there
        are, so that it lists each folder once.
        """
        self._open_folder()
        content = data if isinstance(data, Pieces) else Pieces([data])
        with _naming(self.path, "cannot read it"):
            old = self._open_old()
            unchanged = old is not None and _holds(old, content)
        model = old if old is not None else self._open_model(like)
        with _naming(self.path, f"cannot write in directory {self._folder_name!r}"):
            stem = _temporary_stem(self._folder, self._name)
            _remove_remnants(self._folder, stem, self._list_remnants(listed), model)
            if unchanged:
                return False
            # without a model the system gives what any new file gets: umask, default ACL
            temporary = self._create(stem, 0o666 if model is None else 0o600)
            _write_all(temporary, content)
            if model is not None:
                # a new file loses nothing that its user would have to know
                copy_attributes(model, temporary, self.notes if old is not None else [])
        if old is not None and (names := os.fstat(old).st_nlink) > 1:
            others = "another name" if names == 2 else f"{names - 1} other names"
            self.notes.append(f"hard link broken: the old content stays under {others}")
        return True

    def flush(self) -> None:
        """Bring what was staged to the disk; nothing to do where nothing changes."""
        if self._temporary is None:
            return
        with _naming(self.path, f"cannot write in directory {self._folder_name!r}"):
            os.fsync(self._files[-1])

    def commit(self) -> None:
        """Put what was staged in the place of the file; nothing to do where nothing changes."""
        if self._temporary is None:
            return
        with _naming(self.path, f"cannot replace it in directory {self._folder_name!r}"):
            os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._temporary = None

    def flush_folder(self) -> None:
        """Bring the new name to the disk; as the file is replaced by now, failing is a note."""
        try:
            os.fsync(self._folder)
        except OSError as error:
            # some file systems know no fsync of a folder
            if error.errno != errno.EINVAL:
                self.notes.append(f"may not survive a power failure: {_reason(error)}")

    @property
    def folder(self) -> int:
        """The folder of the file, open since `stage`."""
        return self._folder

    def release_old(self) -> None:
        """Close what `stage` opened beside the temporary: a batch keeps few files open."""
        while len(self._files) > 1:
            _close(self._files.pop(0))

    def close(self) -> None:
        """Remove the temporary if it was not committed, and close all files."""
        self._discard()
        while self._files:
            _close(self._files.pop())
        if self._folder >= 0:
            _close(self._folder)
            self._folder = -1

    def _open_folder(self) -> None:
        """Find the folder and the name of the file that is to be replaced."""
        self._folder_name, self._name = os.path.split(behind_links(self.path))
        self._folder_name = self._folder_name or "."
        if not self._name:
            raise KbtfError("is not the name of a file", file=self.path)
        with _naming(self.path, f"cannot open directory {self._folder_name!r}"):
            try:
                self._folder = os.open(self._folder_name, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                raise KbtfError(
                    f"directory {self._folder_name!r} does not exist", file=self.path
                ) from None

    def _open_old(self) -> int | None:
        """The file as it is now, if there is one."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._files.append(os.open(self._name, flags, dir_fd=self._folder))
        except FileNotFoundError:
            return None
        return self._files[-1]

    def _open_model(self, like: str | None) -> int | None:
        """The file whose attributes a new one takes; None if there is none worth copying."""
        if like is None:
            return None
        try:
            if not stat.S_ISREG(os.stat(like).st_mode):
                return None
            self._files.append(os.open(like, os.O_RDONLY | os.O_NONBLOCK))
        except OSError as error:
            raise os_error(error, like) from error
        return self._files[-1]

    def _list_remnants(self, listed: dict[str, list[str]] | None) -> list[str]:
        """The names in the folder that may be temporaries."""
        if listed is not None and self._folder_name in listed:
            return listed[self._folder_name]
        names = [name for name in os.listdir(self._folder) if _MARK in name]
        if listed is not None:
            listed[self._folder_name] = names
        return names

    def _create(self, stem: str, mode: int) -> int:
        """A new temporary file, locked, and known to be there still after it was locked."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        for _ in range(_ATTEMPTS):
            # named before it exists: a signal's exception may arrive as soon as it does
            self._temporary = stem + os.urandom(_RANDOM_BYTES).hex()
            try:
                file = os.open(self._temporary, flags, mode, dir_fd=self._folder)
            except FileExistsError:
                self._temporary = None
                continue
            self._files.append(file)
            if _lock(file) and _is_at(self._folder, self._temporary, file):
                return file
            self._discard()  # between creating and locking, another run took it for a remnant
            _close(self._files.pop())
        raise OSError(errno.EBUSY, "other runs remove each temporary file")

    def _discard(self) -> None:
        """Remove the temporary; should that fail, the next run does it."""
        if self._temporary is not None:
            with suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._folder)
            self._temporary = None


def behind_links(path: str) -> str:
    """*path*, or what it links to.  Raises KbtfError if that is there but no regular file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise KbtfError("is not a regular file", file=path)
    except FileNotFoundError:
        pass  # a new file, or a link to one
    except OSError as error:
        raise os_error(error, path) from error
    return os.path.realpath(path) if os.path.islink(path) else path


def _holds(file: int, data: Pieces) -> bool:
    """Whether *data* is the whole content of *file*."""
    return os.fstat(file).st_size == len(data) and all(
        # comparing memoryviews goes byte by byte
        os.pread(file, _CHUNK, start) == bytes(data[start : start + _CHUNK])
        for start in range(0, len(data), _CHUNK)
    )


def _write_all(file: int, data: Pieces) -> None:
    for part in data:
        while part:
            part = part[os.write(file, part) :]


def _temporary_stem(folder: int, name: str) -> str:
    """What precedes the random digits in the names of *name*'s temporaries.

    Where *name* is so long that nothing can be added, its end gives way.
    """
    longest = os.fpathconf(folder, "PC_NAME_MAX") - len("." + _MARK) - 2 * _RANDOM_BYTES
    while len(os.fsencode(name)) > longest:
        name = name[:-1]
    return f".{name}{_MARK}"


def _remove_remnants(folder: int, stem: str, names: list[str], model: int | None) -> None:
    """Remove the temporaries that killed runs left, as far as that is possible."""
    owners = {0, os.geteuid()}
    if model is not None:
        owners.add(os.fstat(model).st_uid)  # a run may be killed after it gave the file away
    for name in names:
        if name.startswith(stem) and _is_random(name[len(stem) :]):
            with suppress(OSError):
                _remove_if_unlocked(folder, name, owners)


def _is_random(digits: str) -> bool:
    return len(digits) == 2 * _RANDOM_BYTES and not digits.strip("0123456789abcdef")


def _remove_if_unlocked(folder: int, name: str, owners: set[int]) -> None:
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
        return os.open(name, os.O_RDWR | flags, dir_fd=folder)  # NFS locks only what is writable
    except PermissionError:
        return os.open(name, os.O_RDONLY | flags, dir_fd=folder)


def _lock(file: int) -> bool:
    """Lock a file of our own; False if another run was faster.

    Where the file system has no locks, nobody finds one free and removes the file.
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
    """An error of the system becomes one that says what failed for which file."""
    try:
        yield
    except OSError as error:
        raise MachineError(f"{failure}: {_reason(error)}", file=path) from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _close(file: int) -> None:
    """Close *file*: all that could fail did so at fsync."""
    with suppress(OSError):
        os.close(file)
