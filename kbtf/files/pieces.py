# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A file in the making, in pieces: most of a large module is unchanged, and is not copied."""

from __future__ import annotations

import mmap
import os
from bisect import bisect_right
from contextlib import suppress
from typing import TYPE_CHECKING

from kbtf.native._native import offset_in, start_flush

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Data = bytes | bytearray | memoryview | mmap.mmap

_CHUNK = 1 << 20
_POPULATE_READ = 22  # MADV_POPULATE_READ, which mmap does not name


class Pieces:
    """Consecutive bytes in several buffers."""

    def __init__(self, parts: Iterable[Data]) -> None:
        self.parts = [memoryview(part).cast("B") for part in parts if len(part)]
        self._starts: list[int] = []
        self._length = 0
        for part in self.parts:
            self._starts.append(self._length)
            self._length += len(part)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, where: slice) -> memoryview:
        """The bytes of a range without a step; a copy only if it spans several buffers."""
        start, end, _ = where.indices(self._length)
        if start >= end:
            return memoryview(b"")
        at = bisect_right(self._starts, start) - 1
        first = self.parts[at][start - self._starts[at] : end - self._starts[at]]
        if len(first) == end - start:
            return first
        found = bytearray(first)
        while len(found) < end - start:
            at += 1
            found += self.parts[at][: end - start - len(found)]
        return memoryview(found)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pieces):
            return NotImplemented
        if self is other:
            return True
        if len(self) != len(other):
            return False
        for at in range(0, len(self), _CHUNK):
            # comparing memoryviews goes byte by byte
            if bytes(self[at : at + _CHUNK]) != bytes(other[at : at + _CHUNK]):
                return False
            self.give_back()
        return True

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[memoryview]:
        return iter(self.parts)

    def give_back(self) -> None:
        """Free the memory of mapped files; it is filled again when it is read."""
        for part in self.parts:
            if isinstance(part.obj, mmap.mmap):
                part.obj.madvise(mmap.MADV_DONTNEED)

    def is_all_of(self, file: int) -> bool:
        """Whether they are the whole content of an open file."""
        if os.fstat(file).st_size != len(self):
            return False
        for at in range(0, len(self), _CHUNK):
            if os.pread(file, _CHUNK, at) != bytes(self[at : at + _CHUNK]):
                return False
            self.give_back()
        return True

    def write_to(self, file: int) -> None:
        """Write them to an open file."""
        for part in self.parts:
            write_all(file, part)

    def to_bytes(self) -> bytes:
        """All of them as one buffer; not copied if there is only one."""
        whole = self.parts[0].obj if len(self.parts) == 1 else None
        if isinstance(whole, bytes) and len(whole) == len(self):
            return whole
        return b"".join(self.parts)


def write_all(file: int, data: memoryview) -> None:
    """Write all of *data* to an open file."""
    while data:
        data = data[write_chunk(file, data) :]
        if data:
            start_flush(file)  # the disk works meanwhile


def write_chunk(file: int, data: memoryview) -> int:
    """Write the start of *data* to an open file; how many bytes."""
    chunk = data[:_CHUNK]
    whole = chunk.obj
    if not isinstance(whole, mmap.mmap):
        return os.write(file, chunk)
    at = offset_in(whole, chunk) or 0
    start = at - at % mmap.PAGESIZE
    # Page by page, while it is written, reading would take longer.  Linux has this since 5.14; what
    # cannot be read shows when it is written.
    with suppress(OSError):
        whole.madvise(_POPULATE_READ, start, at + len(chunk) - start)
    written = os.write(file, chunk)
    whole.madvise(mmap.MADV_DONTNEED, start, at + written - start)
    return written
