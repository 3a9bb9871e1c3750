# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Run a task on many items: sequentially, in several processes, or on an executor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from kbtf.jobs.jobserver import NoJobserver, find_jobserver
from kbtf.jobs.schedule import in_input_order, in_order, largest_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from kbtf.jobs.jobserver import Jobserver
    from kbtf.jobs.task import Task, Watch

_Result = TypeVar("_Result")


class Jobs:
    """How many jobs may run at once, and the jobserver that limits them.

    *wanted* is the user's number: 0 means one per CPU; None means 1, or with a jobserver as many
    as it allows.
    """

    def __init__(self, wanted: int | None, warn: Callable[[str], None]) -> None:
        self.tokens: Jobserver | None = None
        try:
            self.tokens = find_jobserver()
        except NoJobserver:
            if wanted is not None and wanted != 1:
                warn("make's jobserver is out of reach, so one job runs; start the recipe with +")
            wanted = 1
        if wanted is None:
            wanted = 0 if self.tokens else 1
        self.count = wanted or len(os.sched_getaffinity(0))


def run_task(
    task: Task[_Result],
    sizes: Sequence[int],
    jobs: Jobs,
    executor: Executor | None = None,
    watch: Watch | None = None,
) -> Iterator[_Result]:
    """The results of *task* for items of these sizes in bytes, in their order.

    They run on *executor* if there is one, which is shut down at the end, else as local *jobs*.
    """
    if executor is not None:
        from kbtf.jobs.executor import run_on

        yield from run_on(executor, task, sizes, watch)
        return
    count = min(jobs.count, len(sizes))
    if count <= 1:
        if jobs.tokens:
            jobs.tokens.close()
        for chunk in in_input_order(sizes):
            yield from task.run(chunk, lambda index: None)
        return
    from kbtf.jobs.local import Workers

    task.prepare()
    workers = Workers(task, count, jobs.tokens, watch)
    yield from in_order(workers.run(largest_first(sizes, count)))


def size_of(path: str) -> int:
    """The size of a file in bytes; 0 if it does not exist, which is reported when it is opened."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
