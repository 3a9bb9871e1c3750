"""Many modules on an executor: whatever runs functions on other processes or machines.

A task takes the contents of files and gives contents back, so that no file system need be shared,
and only the machine that kbtf was started on writes.  A base is sent to machines that ask for it.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from copy import copy
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kbtf.elf.shipped import NeedBases
from kbtf.errors import KbtfError, MachineError
from kbtf.host.schedule import in_order, largest_first
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from kbtf.host.workers import Watch

_Result = TypeVar("_Result")

_PARTS = 16  # of what is left, one goes into a chunk
_MOST_WAITING = 64  # chunks that are submitted and not done; at first 2, until the base is there
_ATTEMPTS = 2  # at one module, each as many as the executor makes itself


class RemoteTask(Protocol[_Result]):
    """What is to be done with each of a list of modules, which are known by their index."""

    @property
    def function(self) -> Callable[[Any], object]:
        """What runs elsewhere: takes what `pack` made, returns NeedBases or what `unpack` takes."""

    def pack(self, chunk: Sequence[int], contents: Sequence[str]) -> object:
        """What *function* needs, with the *contents* of these bases."""

    def unpack(self, chunk: Sequence[int], answer: Any) -> list[_Result]:
        """The results of a chunk."""

    def failed(self, index: int, error: KbtfError) -> _Result:
        """The result for a module that could not be worked on."""


class _Portion(NamedTuple):
    chunk: list[int]
    attempts: int = 0
    contents: tuple[str, ...] = ()


def run_on(
    executor: Executor, task: RemoteTask[_Result], sizes: Sequence[int], watch: Watch | None
) -> Iterator[_Result]:
    """The results for modules of these sizes, in their order; shuts the executor down."""
    yield from in_order(_run(executor, task, sizes, watch))


def _run(
    executor: Executor, task: RemoteTask[_Result], sizes: Sequence[int], watch: Watch | None
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
    return BrokenExecutor(_words(error))


def _settle(
    task: RemoteTask[_Result], portion: _Portion, future: Future[object]
) -> tuple[list[tuple[int, _Result]], list[_Portion]]:
    """The results of a portion, and what is to be submitted again."""
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
        why = f"no worker finished it: {_words(error)}"
        return [(index, task.failed(index, MachineError(why))) for index in chunk], []
    if isinstance(answer, NeedBases):
        return [], [portion._replace(contents=answer.sha256)]
    return list(zip(chunk, task.unpack(chunk, answer), strict=True)), []


def about(error: KbtfError, path: str) -> KbtfError:
    """*error* as one of the module *path*, unless it names a file."""
    own = copy(error)
    own.file = own.file or path
    return own


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
