# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Write a mapped file to the one that replaces it while the new content is being made.

Most bytes of a module with debug information stay what they are and where they are.  Another
thread writes and flushes them while this one encodes, which takes about as long.
"""

from __future__ import annotations

import _thread  # with `threading`, Python would wait for threads at its end
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from kbtf.files.pieces import write_all, write_chunk
from kbtf.native._native import offset_in, start_flush

if TYPE_CHECKING:
    import mmap

    from kbtf.files.pieces import Pieces


class Ahead:
    """The bytes of *source* on their way to an open, empty *file*, from `start` until `stop`.

    What fails there is done again by `write_rest`, and reported.
    """

    def __init__(self, source: mmap.mmap, file: int) -> None:
        self.file = file
        self._source = source
        self._written = 0
        self._stopped = False
        self._running = _thread.allocate_lock()

    def start(self) -> None:
        """Let a thread write, if the system allows one more."""
        with suppress(RuntimeError):
            _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        with self._running:
            try:
                self._write()
            except (OSError, MemoryError):
                self._written = 0  # the system reports once what did not reach the disk

    def _write(self) -> None:
        with memoryview(self._source) as data:
            while not self._stopped and self._written < len(data):
                self._written += write_chunk(self.file, data[self._written :])
                start_flush(self.file)
        if not self._stopped:
            os.fsync(self.file)

    def stop(self) -> None:
        """Stop writing; from then on, *file* is the caller's."""
        self._stopped = True
        with self._running:
            pass

    def write_rest(self, content: Pieces) -> None:
        """Stop, and give *file* this content; what is there already is not written again."""
        self.stop()
        at = 0
        for part in content:
            done = self._done(part, at)
            os.lseek(self.file, at + done, os.SEEK_SET)
            write_all(self.file, part[done:])
            at += len(part)
        os.ftruncate(self.file, at)

    def _done(self, part: memoryview, at: int) -> int:
        """How many bytes of *part*, which belongs at *at* in the file, are there already."""
        if at >= self._written or offset_in(self._source, part) != at:
            return 0
        return min(len(part), self._written - at)
