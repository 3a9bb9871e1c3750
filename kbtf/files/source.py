# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Read-only input files, mapped into memory where possible, opened without blocking."""

from __future__ import annotations

import mmap
import os
import stat
from typing import TYPE_CHECKING

from kbtf.errors import KbtfError, os_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

_MOST_READ = 1 << 30  # bytes of a file that cannot be mapped


class Source:
    """A regular file, open for reading, and its bytes.

    KbtfError if there is no such file, if it is empty, or not a regular file; MachineError if the
    system refuses it.  The bytes stay valid after the file is closed.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        # O_NONBLOCK: opening a FIFO would block
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        try:
            self._fd = os.open(path, flags)
        except OSError as error:
            raise os_error(error, path) from error
        try:
            self.stat = os.fstat(self._fd)
            self._check_kind()
            self.data = self._contents()
        except OSError as error:
            self.close()
            raise os_error(error, path) from error
        except BaseException:
            self.close()
            raise

    def _check_kind(self) -> None:
        if stat.S_ISDIR(self.stat.st_mode):
            raise KbtfError("is a directory", file=self.path)
        if not stat.S_ISREG(self.stat.st_mode):
            raise KbtfError("is not a regular file", file=self.path)
        if not self.stat.st_size:
            raise KbtfError("is empty", file=self.path)

    def _contents(self) -> mmap.mmap | bytes:
        try:
            # private: /sys/kernel/btf/vmlinux can be mapped in no other way, if at all
            return mmap.mmap(self._fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        except (OSError, ValueError):
            return self._read()

    def _read(self) -> bytes:
        data = bytearray()
        while chunk := os.read(self._fd, 1 << 20):
            data += chunk
            if len(data) > _MOST_READ:
                raise KbtfError(f"more than {_MOST_READ} bytes to read", file=self.path)
        return bytes(data)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, part: slice) -> bytes:
        """A part read from the file: unlike mapped pages, it does not stay in memory."""
        start, stop, _ = part.indices(len(self.data))
        try:
            return os.pread(self._fd, max(0, stop - start), start)
        except OSError as error:
            raise os_error(error, self.path) from error

    def is_unchanged(self) -> bool:
        """Whether the file is unchanged since it was opened."""
        now = os.fstat(self._fd)
        return (now.st_size, now.st_mtime_ns) == (self.stat.st_size, self.stat.st_mtime_ns)

    def close(self) -> None:
        """Close the file; its bytes stay."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Scratch:
    """An unnamed file, which disappears with its last user."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append *data*."""
        view = memoryview(data)
        while view:
            written = os.write(self._fd, view)
            self.size += written
            view = view[written:]

    def map(self) -> mmap.mmap:
        """The written data; KbtfError if there is none."""
        if not self.size:
            raise KbtfError("unpacks to nothing")
        return mmap.mmap(self._fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)

    def close(self) -> None:
        """Close the file; mappings stay."""
        os.close(self._fd)


def scratch_files(*folders: str | None) -> Iterator[Scratch]:
    """Scratch files, the best place first: in *folders*, as temporary files, in memory.

    The caller closes each, and tries the next if there is no room.
    """
    temporary = (os.environ.get("TMPDIR"), "/var/tmp", "/tmp")  # noqa: S108 - nameless files
    for folder in filter(None, (*folders, *temporary)):
        try:
            fd = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:
            continue
        yield Scratch(fd)
    yield Scratch(os.memfd_create("kbtf"))
