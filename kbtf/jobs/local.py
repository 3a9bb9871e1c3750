# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Process many modules in several processes on this machine.

The workers are forked once all shared data is in memory: plugins, configuration, the indexed base.
If a worker dies, the module it was working on fails, and the worker is replaced.
"""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import select
import signal
import struct
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from kbtf.errors import MachineError
from kbtf.files.helper import end_with_parent
from kbtf.say import complain_of_traceback, flush_output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.jobs.jobserver import Jobserver
    from kbtf.jobs.task import Task, Watch

_Result = TypeVar("_Result")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOTHING = 0xFFFFFFFF  # in a worker's slot of the shared memory: it is not working on a module
_LOOK_AGAIN = 0.2  # seconds between two checks of what is running


class _Stopped(BaseException):
    """A signal reached a worker, which cleans up."""


class _Worker:
    def __init__(self, place: int) -> None:
        self.place = place
        self.pid = 0
        self.chunk: list[int] = []
        """The indices it is working on."""
        self.retried = False
        # closed in other workers, so that each sees the end of its own pipe
        self.orders_out, self.orders_in = _pipe()
        self.results_out, self.results_in = _pipe()

    @property
    def busy(self) -> bool:
        return bool(self.chunk)

    def close(self) -> None:
        os.close(self.orders_in)
        os.close(self.results_out)


def _pipe() -> tuple[int, int]:
    return os.pipe2(os.O_CLOEXEC)


class Workers(Generic[_Result]):
    """Processes that work on chunks of one task.  Leaving stops them and returns the tokens."""

    def __init__(
        self, task: Task[_Result], jobs: int, tokens: Jobserver | None, watch: Watch | None
    ) -> None:
        self._task = task
        self._jobs = jobs
        self._tokens = tokens
        self._watch = watch
        self._workers: list[_Worker] = []
        self._at = mmap.mmap(-1, 4 * jobs)  # shared: the index that each worker is working on
        self._done = 0
        self._began: dict[int, float] = {}

    def run(self, chunks: list[list[int]]) -> Iterator[tuple[int, _Result]]:
        """The results with their indices, as they come."""
        gc.freeze()  # shared pages are not touched, and so not copied
        waiting = [(chunk, False) for chunk in reversed(chunks)]
        try:
            while waiting or any(worker.busy for worker in self._workers):
                self._hand_out(waiting)
                for worker in self._ready(bool(waiting)):
                    results = self._take(worker, waiting)
                    self._done += len(results)
                    yield from results
        finally:
            self._stop()
            gc.unfreeze()

    def _hand_out(self, waiting: list[tuple[list[int], bool]]) -> None:
        """Give work to as many workers as jobs are allowed."""
        while waiting:
            busy = sum(worker.busy for worker in self._workers)
            if busy == self._jobs:
                return
            # one job needs no token
            if busy and self._tokens and self._tokens.held < busy and not self._tokens.acquire():
                return
            worker = next((w for w in self._workers if not w.busy), None) or self._start()
            worker.chunk, worker.retried = waiting.pop()
            try:
                _send(worker.orders_in, worker.chunk)
            except BrokenPipeError:
                pass  # it died idle: this is handled where results are read

    def _start(self) -> _Worker:
        places = {worker.place for worker in self._workers}
        worker = _Worker(min(set(range(self._jobs)) - places))
        self._mark(worker.place, -1)
        # otherwise the worker would print it again
        flush_output()
        with suppress(OSError):
            sys.stderr.flush()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            worker.pid = os.fork()
            if not worker.pid:
                self._be_worker(worker, blocked)
            self._workers.append(worker)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.close(worker.orders_out)
        os.close(worker.results_in)
        return worker

    def _be_worker(self, worker: _Worker, blocked: set[int | signal.Signals]) -> NoReturn:
        """The main loop of a worker, which never returns to the code that started it."""
        status = 1
        end_with_parent()
        try:
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, _stop_once)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            worker.close()
            for other in self._workers:
                other.close()
            with open(worker.orders_out, "rb") as orders:
                while order := orders.read(4):
                    chunk = pickle.loads(orders.read(*struct.unpack("I", order)))  # noqa: S301
                    results = self._task.run(chunk, lambda at: self._mark(worker.place, at))
                    flush_output()  # of plugins
                    _send(worker.results_in, results)
            status = 0
        except (_Stopped, BrokenPipeError):
            pass
        except BaseException:
            complain_of_traceback()
        finally:
            os._exit(status)

    def _mark(self, place: int, index: int) -> None:
        struct.pack_into("I", self._at, 4 * place, _NOTHING if index < 0 else index)

    def _ready(self, more: bool) -> list[_Worker]:
        """Workers that have results or died; waits for one, or for a token if there is *more*."""
        poll = select.poll()
        by_fd = {worker.results_out: worker for worker in self._workers if worker.busy}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        if more and self._tokens and len(by_fd) < self._jobs:
            poll.register(self._tokens.fileno(), select.POLLIN)
        while True:
            found = poll.poll(_LOOK_AGAIN * 1000 if self._watch else None)
            if self._watch:
                self._watch.update(self._done, self._running())
            if found:
                return [by_fd[fd] for fd, _ in found if fd in by_fd]

    def _running(self) -> dict[int, float]:
        now = time.monotonic()
        places = struct.unpack(f"{self._jobs}I", self._at)
        self._began = {at: self._began.get(at, now) for at in places if at != _NOTHING}
        return self._began

    def _take(
        self, worker: _Worker, waiting: list[tuple[list[int], bool]]
    ) -> list[tuple[int, _Result]]:
        """The results of a worker; if it died, the failure of the module it was working on."""
        results: list[_Result] | None = _receive(worker.results_out)
        chunk, worker.chunk = worker.chunk, []
        busy = sum(other.busy for other in self._workers)
        # returned after each chunk, so that other processes get a turn
        while self._tokens and self._tokens.held > max(0, busy - 1):
            self._tokens.release()
        if results is not None:
            return list(zip(chunk, results, strict=True))
        why = self._bury(worker)
        (at,) = struct.unpack_from("I", self._at, 4 * worker.place)
        if at in chunk:
            rest = [index for index in chunk if index != at]
            if rest:
                waiting.append((rest, worker.retried))
            return [(at, self._task.failed(at, MachineError(why)))]
        if worker.retried:
            return [(index, self._task.failed(index, MachineError(why))) for index in chunk]
        waiting.append((chunk, True))
        return []

    def _bury(self, worker: _Worker) -> str:
        """Drop a worker that died, and return how it ended."""
        self._workers.remove(worker)
        worker.close()
        _, status = os.waitpid(worker.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"the process that worked on it ended ({how})"

    def _stop(self) -> None:
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            for worker in self._workers:
                worker.close()
                if worker.busy:
                    os.kill(worker.pid, signal.SIGTERM)
            for worker in self._workers:
                os.waitpid(worker.pid, 0)
            self._workers.clear()
            if self._tokens:
                self._tokens.close()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _stop_once(signum: int, frame: object) -> NoReturn:
    for number in _SIGNALS:  # Ctrl-C reaches a worker twice: its cleanup must not be interrupted
        signal.signal(number, _do_nothing)
    raise _Stopped


def _do_nothing(signum: int, frame: object) -> None:
    # with SIG_IGN, Python would fail if the second signal is already pending
    pass


def _send(fd: int, message: object) -> None:
    data = pickle.dumps(message)
    view = memoryview(struct.pack("I", len(data)) + data)
    while view:
        view = view[os.write(fd, view) :]


def _receive(fd: int) -> Any:
    """A message from a worker, None if it died before it sent all of it."""
    head = _read(fd, 4)
    data = _read(fd, *struct.unpack("I", head)) if len(head) == 4 else b""
    if not data:
        return None
    return pickle.loads(data)  # noqa: S301 - of our own worker


def _read(fd: int, size: int) -> bytes:
    """*size* bytes, or fewer if the writer is gone."""
    parts = bytearray()
    while len(parts) < size and (part := os.read(fd, size - len(parts))):
        parts += part
    return bytes(parts)
