# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Run the phases on many modules: sequentially, in several processes, or on other machines.

In all cases, one that fails does not stop the others, results are in the order of the input, and
each file is replaced completely or not at all.  New files are flushed in chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.files.replace_many import flush_folders_of
from kbtf.jobs.run import run_task, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from kbtf.jobs.run import Jobs
    from kbtf.jobs.task import Watch
    from kbtf.run.outcome import Outcome
    from kbtf.run.task import RunModules


def run_batch(
    task: RunModules, jobs: Jobs, executor: Executor | None, watch: Watch | None = None
) -> Iterator[Outcome]:
    """The outcome of each module, in order.  At the end, everything is on disk."""
    sizes = [size_of(path) for path, _ in task.pairs]
    written = []
    for outcome in run_task(task, sizes, jobs, executor, watch):
        if outcome.status == "done":
            written.append(outcome.output)
        yield outcome
    if written and not task.config["dry-run"]:
        flush_folders_of(written)
