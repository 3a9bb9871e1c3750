"""Many modules through the phases: one after the other, on several processes, or elsewhere.

Whatever runs them, one that fails does not stop the others, results come in the order of the
input, and each file is replaced whole or not at all.  A chunk of new files is flushed at once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.elf.write_many import Chunk, flush_folders_of
from kbtf.errors import KbtfError, MachineError, os_error
from kbtf.host.jobserver import NoJobserver, find_jobserver
from kbtf.host.pipeline import failed, find_base, run_module
from kbtf.host.schedule import in_input_order, in_order, largest_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor
    from typing import TypeVar

    from kbtf.host.bases import BaseFinder
    from kbtf.host.config import Config
    from kbtf.host.jobserver import Jobserver
    from kbtf.host.manager import Manager
    from kbtf.host.pipeline import Outcome
    from kbtf.host.workers import Task, Watch

    _Result = TypeVar("_Result")


class Jobs:
    """How many jobs may run at once, and the jobserver that has a say in it.

    *wanted* is the number that the user gave: 0 stands for one on each CPU, None for 1, or with a
    jobserver for as many as it allows.
    """

    def __init__(self, wanted: int | None, warn: Callable[[str], None]) -> None:
        self.tokens: Jobserver | None = None
        try:
            self.tokens = find_jobserver()
        except NoJobserver:
            if wanted is not None and wanted != 1:
                warn("make's jobserver is out of reach, one job runs: the recipe needs a +")
            wanted = 1
        if wanted is None:
            wanted = 0 if self.tokens else 1
        self.count = wanted or len(os.sched_getaffinity(0))


def run_local(
    task: Task[_Result], sizes: Sequence[int], jobs: Jobs, watch: Watch | None = None
) -> Iterator[_Result]:
    """The results of *task* for modules of these sizes, in their order."""
    count = min(jobs.count, len(sizes))
    if count <= 1:
        if jobs.tokens:
            jobs.tokens.close()
        for chunk in in_input_order(sizes):
            yield from task.run(chunk, lambda index: None)
        return
    from kbtf.host.workers import Workers

    workers = Workers(task, count, jobs.tokens, watch)
    yield from in_order(workers.run(largest_first(sizes, count)))


class RunModules:
    """The phases on many modules: `kbtf.host.workers.Task`."""

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        manager: Manager,
        config: Config,
        bases: BaseFinder,
        on_error: Callable[[], None],
    ) -> None:
        self.pairs = pairs
        self.manager = manager
        self.config = config
        self.bases = bases
        self._on_error = on_error
        """Called where an error is handled, to show where it comes from."""

    def share_base(self) -> None:
        """Open and index the base of the first module that has one, for all workers to share."""
        from kbtf.elf.module import Module

        for path, _ in self.pairs[:8]:
            try:
                module = Module.open(path)
                base = find_base(module, self.manager, self.config, self.bases).btf
            except (KbtfError, OSError):
                continue  # its own worker will say so
            base.find("module")  # hashes the names
            return

    def run(self, chunk: Sequence[int], begin: Callable[[int], None]) -> list[Outcome]:
        with Chunk() as files:
            outcomes = []
            for index in chunk:
                begin(index)
                outcomes.append(self._run(index, files))
            begin(-1)
            return not_written(outcomes, files.commit())

    def _run(self, index: int, files: Chunk) -> Outcome:
        path, output = self.pairs[index]
        try:
            return run_module(
                path, output, self.manager, self.config, self.bases, write=files.write
            )
        except (KbtfError, OSError) as error:
            self._on_error()
            known = error if isinstance(error, KbtfError) else os_error(error, path)
        except MemoryError:
            known = MachineError("out of memory", file=path)
        return failed(path, output, known)

    def lost(self, index: int, why: str) -> Outcome:
        path, output = self.pairs[index]
        return failed(path, output, MachineError(why, file=path))


def not_written(outcomes: list[Outcome], errors: dict[str, KbtfError]) -> list[Outcome]:
    """The outcomes, those failed whose output could not be put in its place."""
    return [
        failed(outcome.module, outcome.output, errors[outcome.output])
        if outcome.output in errors
        else outcome
        for outcome in outcomes
    ]


def run_batch(
    task: RunModules, jobs: Jobs, executor: Executor | None, watch: Watch | None = None
) -> Iterator[Outcome]:
    """What becomes of each module, in order.  At the end all is on the disk."""
    sizes = [size_of(path) for path, _ in task.pairs]
    if executor is not None:
        from kbtf.host.remote_run import run_remotely

        outcomes = run_remotely(task, sizes, executor, watch)
    else:
        if min(jobs.count, len(sizes)) > 1:
            task.share_base()
        outcomes = run_local(task, sizes, jobs, watch)
    written = []
    for outcome in outcomes:
        if outcome.status == "done":
            written.append(outcome.output)
        yield outcome
    if written and not task.config["dry-run"]:
        flush_folders_of(written)


def size_of(path: str) -> int:
    """Bytes of a file; 0 if there is none: whoever opens it will say so."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
