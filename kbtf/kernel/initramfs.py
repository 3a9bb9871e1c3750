# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernel modules inside an initramfs image.

An image is a series of cpio archives, each plain or compressed, with zeros between them
(Documentation/driver-api/early-userspace/buffer-format.rst of the kernel).  initramfs-tools, dracut
and mkinitcpio all put modules into ``lib/modules/RELEASE`` or ``usr/lib/modules/RELEASE``.  A
unified kernel image has one in a section.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from kbtf.errors import KbtfError
from kbtf.files.budget import LEAST_COST, Budget, stream_limit
from kbtf.files.compression import unpacked
from kbtf.files.formats import MODULE_SUFFIXES, recognise
from kbtf.files.source import Source
from kbtf.kernel.uki import Extent, initrd_in

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_MAGICS = (b"070701", b"070702")
_HEADER = 110  # six bytes of magic and 13 fields of eight hexadecimal digits
_MODE, _FILE_SIZE, _NAME_SIZE = 1, 6, 11  # the indices of fields
_LONGEST_NAME = 4096
_LARGEST_MODULE = 512 << 20
_LAST = "TRAILER!!!"
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]+")
_CHUNK = 1 << 16
_MOST_UNPACKED = 4 << 30  # read as a stream: it does not cost memory


class EarlyModule(NamedTuple):
    """A module in an initramfs."""

    path: str
    """Below ``lib/modules``: ``RELEASE/kernel/fs/...``."""
    data: bytes
    """The file, compressed or not."""
    budget: Budget
    """The limit on the unpacked size of all modules in the image together."""


def early_modules(path: str) -> Iterator[EarlyModule]:
    """The modules in the initramfs image *path*, one at a time; KbtfError if it cannot be read."""
    with Source(path) as source:
        try:
            yield from _modules_in(source, initrd_in(source) or Extent(0, len(source)))
        except KbtfError as error:
            error.file = error.file or path
            raise


def _modules_in(source: Source, image: Extent) -> Iterator[EarlyModule]:
    offset, end = image
    budget = Budget(min(stream_limit(end - offset), _MOST_UNPACKED))  # of all archives together
    while (offset := _skip_zeros(source, offset, end)) < end:
        kind = recognise(source, offset)
        if kind is not None:
            stream = _Stream(unpacked(source, offset, end, kind=kind, budget=budget))
            while stream.next_archive():
                yield from _archive(stream, budget)
            offset = stream.end
        elif source[offset : offset + 6] in _MAGICS:
            stream = _Stream(_plain(source, offset, end))
            yield from _archive(stream, budget)
            offset += stream.position
        else:
            raise KbtfError("is not a cpio archive", where=f"offset {offset}")


def _skip_zeros(source: Source, offset: int, end: int) -> int:
    while chunk := source[offset : min(offset + _CHUNK, end)]:
        rest = chunk.lstrip(b"\0")
        offset += len(chunk) - len(rest)
        if rest:
            break
    return offset


def _plain(source: Source, offset: int, end: int) -> Generator[bytes, None, int]:
    while chunk := source[offset : min(offset + _CHUNK, end)]:
        yield chunk
        offset += len(chunk)
    return offset


class _Stream:
    """A reader for bytes that arrive in parts."""

    def __init__(self, parts: Generator[bytes, None, int]) -> None:
        self._parts = parts
        self._ahead = bytearray()
        self.position = 0
        self.end = 0
        """The offset of the end of the input, once reached."""

    def read(self, size: int) -> bytes:
        """Exactly *size* bytes; KbtfError if there are fewer."""
        while len(self._ahead) < size:
            if not self._more():
                raise KbtfError("the cpio archive is truncated")
        data = bytes(self._ahead[:size])
        self._drop(size)
        return data

    def skip(self, size: int) -> None:
        """Skip *size* bytes."""
        while size > len(self._ahead):
            size -= len(self._ahead)
            self._drop(len(self._ahead))
            if not self._more():
                raise KbtfError("the cpio archive is truncated")
        self._drop(size)

    def next_archive(self) -> bool:
        """Skip zeros; whether anything follows them."""
        while True:
            zeros = len(self._ahead) - len(self._ahead.lstrip(b"\0"))
            self._drop(zeros)
            if self._ahead:
                self.position = 0
                return True
            if not self._more():
                return False

    def _more(self) -> bool:
        try:
            self._ahead += next(self._parts)
        except StopIteration as ended:
            self.end = int(ended.value)
            return False
        return True

    def _drop(self, size: int) -> None:
        del self._ahead[:size]
        self.position += size


def _archive(stream: _Stream, budget: Budget) -> Iterator[EarlyModule]:
    """The modules of one cpio archive in the "newc" format, read up to its trailer."""
    while True:
        mode, name_size, file_size = _header(stream.read(_HEADER))
        name = stream.read(name_size).rstrip(b"\0").decode("utf-8", "surrogateescape")
        stream.skip(-stream.position % 4)
        if name == _LAST:
            return
        path = _module_path(name)
        if path is not None and file_size and stat.S_ISREG(mode):
            if file_size > _LARGEST_MODULE:
                raise KbtfError(f"a module of {file_size} bytes", where=name)
            budget.take(LEAST_COST)  # reading it takes time, however small it is
            yield EarlyModule(path, stream.read(file_size), budget)
        else:
            stream.skip(file_size)
        stream.skip(-stream.position % 4)


def _header(header: bytes) -> tuple[int, int, int]:
    """The mode, and the sizes of the name and of the file."""
    if header[:6] not in _MAGICS:
        raise KbtfError("the cpio archive is damaged: a header is missing")
    digits = header[6:]
    if not _HEXADECIMAL.fullmatch(digits):
        raise KbtfError("the cpio archive is damaged: its header is not hexadecimal")
    fields = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    if not 0 < fields[_NAME_SIZE] <= _LONGEST_NAME:
        raise KbtfError(f"the cpio archive is damaged: a name of {fields[_NAME_SIZE]} bytes")
    return fields[_MODE], fields[_NAME_SIZE], fields[_FILE_SIZE]


def _module_path(name: str) -> str | None:
    """The path below ``lib/modules`` if *name* is a module's."""
    plain = name.removeprefix("./").lstrip("/").removeprefix("usr/")
    below = plain.removeprefix("lib/modules/")
    return below if below != plain and below.endswith(MODULE_SUFFIXES) else None
