# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Run the phases on several modules, and report the outcome of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli.terminal.messages import print_error, print_warning
from kbtf.run.base_finder import BaseFinder
from kbtf.run.pipeline import run_one
from kbtf.say import complain_of_traceback, counted, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.hooks.manager import Manager
    from kbtf.hooks.options import Config
    from kbtf.run.outcome import Outcome, Size


def run_each(
    modules: Iterable[tuple[str, str]], manager: Manager, config: Config, *, debug: bool
) -> Iterator[Outcome]:
    """Process each module into its output; one that fails does not stop the others."""
    pairs = list(modules)
    bases = BaseFinder(config)
    on_error = complain_of_traceback if debug else None
    executor = manager.call("kbtf_executor", config=config)
    if len(pairs) == 1 and executor is None:
        yield run_one(*pairs[0], manager, config, bases, on_error)
        return
    from kbtf.cli.terminal.progress import progress
    from kbtf.jobs.run import Jobs
    from kbtf.run.batch import run_batch
    from kbtf.run.task import RunModules

    task = RunModules(pairs, manager, config, bases, on_error)
    jobs = Jobs(config.get("jobs", 1), print_warning)
    with progress([path for path, _ in pairs]) as watch:
        for outcome in run_batch(task, jobs, executor, watch):
            if watch:
                watch.clear()
            yield outcome


def print_outcome(outcome: Outcome, *, quiet: bool, verbose: bool, dry_run: bool = False) -> None:
    """Report the outcome of a module: warnings and errors on standard error."""
    for warning in () if quiet else outcome.warnings:
        print_warning(f"{outcome.module}: {warning}")
    if outcome.status == "failed":
        print_error(outcome.reason)
    elif not quiet:
        end = " (not written)" if dry_run and outcome.status == "done" else ""
        say(f"{outcome.output}: {summary(outcome)}{end}")
        for note in outcome.notes if verbose else ():
            say(f"  {note}")
        if verbose and outcome.base:
            say(f"  base {outcome.base}")


def summary(outcome: Outcome) -> str:
    """What was done to a module, in one line."""
    if outcome.status == "skipped":
        return f"skipped: {outcome.reason}"
    parts = [_sized(".BTF", outcome.btf)]
    if outcome.btf_base:
        parts.append(_sized(".BTF.base", outcome.btf_base))
    if outcome.ids is not None:
        parts.append(f".BTF_ids {counted(outcome.ids, 'id')}")
    end = " (unchanged)" if outcome.status == "unchanged" else ""
    return ", ".join(parts) + end


def _sized(section: str, size: Size | None) -> str:
    if size is None:
        return f"no {section}"
    return f"{section} {counted(size.types, 'type')}, {counted(size.bytes, 'byte')}"
