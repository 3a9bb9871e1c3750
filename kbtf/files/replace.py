# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Replace a file atomically: completely or not at all.

New content goes into a temporary file next to the target, which is renamed over the target once
it is complete.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from kbtf.errors import KbtfError, MachineError, os_error, reason
from kbtf.files.attributes import copy_attributes
from kbtf.files.pieces import Pieces
from kbtf.files.place import Place, open_place
from kbtf.files.temporary import MARK, Temporary, close
from kbtf.say import complain

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    from kbtf.files.ahead import Ahead

_NOWHERE = Place(-1, "", "", frozenset())


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
    with closing(Replacement(path)) as replacement:
        return replacement.write(data, like=like)


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
            Temporary(folder, name).remove_remnants(os.listdir(folder), owner)
            os.unlink(name, dir_fd=folder)  # last, because its owner shows which remnants are ours
        finally:
            close(folder)


class Replacement:
    """The next content of one file, under a temporary name until `commit`.

    `write` takes all the steps: `stage`, `flush`, `commit`, `flush_folder`.  They raise the errors
    of `replace_file`.  `close` removes what was not committed.
    """

    __slots__ = ("_ahead", "_opened", "_place", "_temporary", "notes", "path", "warnings")

    def __init__(self, path: str) -> None:
        self.path = path
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self._opened: list[int] = []  # the current file, or a model for its attributes
        self._place = _NOWHERE
        self._temporary: Temporary | None = None
        self._ahead: Ahead | None = None

    def begin(self, source: mmap.mmap) -> None:
        """Start to write *source*, much of which will be in the data; failures show in `stage`."""
        from kbtf.files.ahead import Ahead

        try:
            self._place = open_place(self.path)
            if not self._place.strangers:  # their links are judged when the old file is opened
                self._temporary = Temporary(self._place.folder, self._place.name)
                self._ahead = Ahead(source, self._temporary.create(0o600))
                self._ahead.start()
        except (OSError, KbtfError):
            self._discard()

    def write(self, data: bytes | memoryview | Pieces, *, like: str | None = None) -> Written:
        """Replace the file as `replace_file` does."""
        if not self.stage(data, like=like):
            return Written(False, [])
        self.flush()
        self.commit()
        self.flush_folder()
        return Written(True, self.notes, tuple(self.warnings))

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
        if self._place is _NOWHERE:
            self._place = open_place(self.path)
        content = data if isinstance(data, Pieces) else Pieces([data])
        with _naming(self.path, "cannot read it"):
            old = self._open_old()
            unchanged = old is not None and content.is_all_of(old)
        model = old if old is not None else self._open_model(like)
        with _naming(self.path, f"cannot write in directory {self._place.folder_name!r}"):
            owner = None if model is None else os.fstat(model).st_uid
            temporary = self._temporary_like(model)
            temporary.remove_remnants(self._list_remnants(listed), owner)
            if unchanged:
                self._discard()
                return False
            if self._ahead is None:
                content.write_to(temporary.create(0o666 if model is None else 0o600))
            else:
                self._ahead.write_rest(content)
            if model is not None:
                # a new file loses nothing that its user has to know about
                copy_attributes(model, temporary.file, self.notes if old is not None else [])
                self._warn_of_owner(model, temporary.file)
        if old is not None and (names := os.fstat(old).st_nlink) > 1:
            others = "another name" if names == 2 else f"{names - 1} other names"
            self.notes.append(f"hard link broken: the old content stays under {others}")
        return True

    def flush(self) -> None:
        """Flush the staged file to disk, unless nothing changes."""
        if self._temporary is None:
            return
        with _naming(self.path, f"cannot write in directory {self._place.folder_name!r}"):
            os.fsync(self._temporary.file)

    def commit(self) -> None:
        """Replace the file by the staged one, unless nothing changes."""
        if self._temporary is None:
            return
        with _naming(self.path, f"cannot replace it in directory {self._place.folder_name!r}"):
            self._temporary.rename(self._place.name)

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
        while self._opened:
            close(self._opened.pop())

    def close(self) -> None:
        """Remove the temporary if it was not committed, and close all files."""
        self._discard()
        self.release_old()
        if self._place is not _NOWHERE:
            close(self._place.folder)
            self._place = _NOWHERE

    def _open_old(self) -> int | None:
        """The current file, if there is one."""
        place = self._place
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._opened.append(os.open(place.name, flags, dir_fd=place.folder))
        except FileNotFoundError:
            place.check(os.fstat(place.folder), self.path)
            return None
        facts = os.fstat(self._opened[-1])
        if not stat.S_ISREG(facts.st_mode):
            raise KbtfError("is not a regular file", file=self.path)
        place.check(facts, self.path)
        return self._opened[-1]

    def _warn_of_owner(self, old: int, new: int) -> None:
        owner = os.fstat(new).st_uid
        if owner == os.fstat(old).st_uid != os.geteuid():
            self.warnings.append(f"still belongs to user {owner}, who can change it")

    def _open_model(self, like: str | None) -> int | None:
        """The file whose attributes a new one takes; None if there is none worth copying."""
        if like is None:
            return None
        try:
            self._opened.append(os.open(like, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))
            return self._opened[-1] if stat.S_ISREG(os.fstat(self._opened[-1]).st_mode) else None
        except OSError as error:
            raise os_error(error, like) from error

    def _list_remnants(self, listed: dict[str, list[str]] | None) -> list[str]:
        """The names in the directory that may be temporaries."""
        if listed is not None and self._place.folder_name in listed:
            return listed[self._place.folder_name]
        names = [name for name in os.listdir(self._place.folder) if MARK in name]
        if listed is not None:
            listed[self._place.folder_name] = names
        return names

    def _temporary_like(self, model: int | None) -> Temporary:
        """The temporary that was begun, or a new one, which is not created yet."""
        # without a model, the system's defaults apply: umask, default ACL
        if self._temporary is None or model is None:
            self._discard()
            self._temporary = Temporary(self._place.folder, self._place.name)
        return self._temporary

    def _discard(self) -> None:
        """Remove the temporary, unless it has its final name."""
        if self._temporary is not None:
            self._temporary.unlink()  # first, because a signal may interrupt the next step
        if self._ahead is not None:
            self._ahead.stop()
            self._ahead = None
        if self._temporary is not None:
            self._temporary.close()
            self._temporary = None


def _owner_of(name: str, folder: int) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid
    except FileNotFoundError:
        return None


@contextmanager
def _naming(path: str, failure: str) -> Iterator[None]:
    """Turn a system error into one that names the failed operation and the file."""
    try:
        yield
    except OSError as error:
        raise MachineError(f"{failure}: {reason(error)}", file=path) from error
