# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Process many modules on an executor, which runs functions in other processes or machines.

A task receives and returns the contents of files, so no file system has to be shared, and only the
machine that kbtf was started on writes.  A base is sent to machines that request it.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from kbtf.errors import KbtfError, MachineError, in_words
from kbtf.jobs.schedule import in_order, largest_first
from kbtf.jobs.shipped_bases import NeedBases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from kbtf.jobs.task import Task, Watch

_Result = TypeVar("_Result")

_PARTS = 16  # a chunk is this fraction of the remaining work
_MOST_WAITING = 64  # submitted chunks that are not done; only 2 until the base has been sent
_ATTEMPTS = 2  # per module; the executor may retry each of them


class _Portion(NamedTuple):
    chunk: list[int]
    attempts: int = 0
    contents: tuple[str, ...] = ()


def run_on(
    executor: Executor, task: Task[_Result], sizes: Sequence[int], watch: Watch | None
) -> Iterator[_Result]:
    """The results for modules of these sizes, in their order; shuts the executor down."""
    yield from in_order(_run(executor, task, sizes, watch))


def _run(
    executor: Executor, task: Task[_Result], sizes: Sequence[int], watch: Watch | None
) -> Iterator[tuple[int, _Result]]:
    waiting = [_Portion(chunk) for chunk in reversed(largest_first(sizes, _PARTS))]
    running: dict[Future[object], _Portion] = {}
    most, done = 2, 0
    try:
        while waiting or running:
            while waiting and len(running) < most:
                portion = waiting.pop()
                packed = task.pack(portion.chunk, portion.contents)
                running[_submit(executor, task.function, packed)] = portion
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                portion = running.pop(future)
                results, again = _settle(task, portion, future)
                waiting += again
                most = most if again else min(2 * most, _MOST_WAITING)
                done += len(results)
                if watch:
                    watch.update(done, {})
                yield from results
    finally:
        executor.shutdown(wait=not running, cancel_futures=True)


def _submit(
    executor: Executor, function: Callable[[Any], object], packed: object
) -> Future[object]:
    try:
        return executor.submit(function, packed)
    except Exception as error:  # of whatever library it is
        future: Future[object] = Future()
        future.set_exception(error if isinstance(error, BrokenExecutor) else _broken(error))
        return future


def _broken(error: Exception) -> BrokenExecutor:
    return BrokenExecutor(in_words(error))


def _settle(
    task: Task[_Result], portion: _Portion, future: Future[object]
) -> tuple[list[tuple[int, _Result]], list[_Portion]]:
    """The results of a portion, and the work to submit again."""
    chunk = portion.chunk
    try:
        answer = future.result()
    except KbtfError as error:
        return [(index, task.failed(index, error)) for index in chunk], []
    except (Exception, CancelledError) as error:  # of whatever library it is
        last = portion.attempts + 1 >= _ATTEMPTS or isinstance(error, BrokenExecutor)
        if not last:
            # one of them may be to blame
            alone = portion._replace(attempts=portion.attempts + 1)
            return [], [alone._replace(chunk=[index]) for index in chunk]
        why = f"no worker finished it: {in_words(error)}"
        return [(index, task.failed(index, MachineError(why))) for index in chunk], []
    if isinstance(answer, NeedBases):
        return [], [portion._replace(contents=answer.sha256)]
    return list(zip(chunk, task.unpack(chunk, answer), strict=True)), []
