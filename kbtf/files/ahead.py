# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Write a mapped file to the one that replaces it while the new content is being made.

Most bytes of a module with debug information stay what they are and where they are.  Another
thread writes and flushes them while this one encodes, which takes about as long.
"""

from __future__ import annotations

import _thread
import mmap
import os

from kbtf.files.pieces import write_chunk
from kbtf.native._native import offset_in, start_flush


class Ahead:
    """The bytes of *source* on their way to an open, empty *file*, until `stop`.

    What fails here is left to those who write the rest: `skip` tells what there is.
    """

    def __init__(self, source: mmap.mmap, file: int) -> None:
        self.file = file
        self._source = source
        self._written = 0
        self._stopped = False
        self._running = _thread.allocate_lock()
        self._running.acquire()
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:  # the system allows no more threads
            self._running.release()

    def _run(self) -> None:
        try:
            self._write()
        except OSError:
            self._written = 0  # the system reports once what did not reach the disk
        finally:
            self._running.release()

    def _write(self) -> None:
        with memoryview(self._source) as data:
            while self._written < len(data):
                if self._stopped:
                    return
                start = self._written - self._written % mmap.PAGESIZE
                self._written += write_chunk(self.file, data[self._written :])
                self._source.madvise(mmap.MADV_DONTNEED, start, self._written - start)
                start_flush(self.file)
        os.fsync(self.file)

    def stop(self) -> None:
        """Stop writing; then *file* is the caller's."""
        self._stopped = True
        with self._running:
            pass

    def skip(self, part: memoryview, at: int) -> int:
        """How many bytes of *part*, which belongs at *at* in the file, are there already."""
        if at >= self._written or offset_in(self._source, part) != at:
            return 0
        return min(len(part), self._written - at)
