"""Running the phases on several modules, and saying what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli import print_error, print_traceback, print_warning
from kbtf.errors import KbtfError, os_error
from kbtf.host.bases import BaseFinder
from kbtf.host.pipeline import Outcome, Size, failed, run_module

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.host.config import Config
    from kbtf.host.manager import Manager


def run_each(
    modules: Iterable[tuple[str, str]], manager: Manager, config: Config, *, debug: bool
) -> Iterator[Outcome]:
    """Take each module to its output; one that fails does not stop the others."""
    pairs = list(modules)
    bases = BaseFinder(config)
    executor = manager.call("kbtf_executor", config=config)
    if len(pairs) == 1 and executor is None:
        yield run_one(*pairs[0], manager, config, bases, debug=debug)
        return
    from kbtf.cli._progress import progress
    from kbtf.host.batch import Jobs, RunModules, run_batch

    task = RunModules(pairs, manager, config, bases, print_traceback if debug else lambda: None)
    jobs = Jobs(config.get("jobs", 1), print_warning)
    with progress([path for path, _ in pairs]) as watch:
        for outcome in run_batch(task, jobs, executor, watch):
            if watch:
                watch.clear()
            yield outcome


def run_one(
    path: str, output: str, manager: Manager, config: Config, bases: BaseFinder, *, debug: bool
) -> Outcome:
    """Take a module to its output; an error is part of the outcome."""
    try:
        return run_module(path, output, manager, config, bases)
    except (KbtfError, OSError) as error:
        if debug:
            print_traceback()
        known = error if isinstance(error, KbtfError) else os_error(error)
        return failed(path, output, known)


def print_outcome(outcome: Outcome, *, quiet: bool, verbose: bool) -> None:
    """Say what became of a module: warnings and errors on standard error."""
    for warning in () if quiet else outcome.warnings:
        print_warning(f"{outcome.module}: {warning}")
    if outcome.status == "failed":
        print_error(outcome.reason)
    elif not quiet:
        print(f"{outcome.output}: {summary(outcome)}")
        for note in outcome.notes if verbose else ():
            print(f"  {note}")
        if verbose and outcome.base:
            print(f"  base {outcome.base}")


def summary(outcome: Outcome) -> str:
    """What was done to a module, for one line."""
    if outcome.status == "skipped":
        return f"skipped: {outcome.reason}"
    parts = [_sized(".BTF", outcome.btf)]
    if outcome.btf_base:
        parts.append(_sized(".BTF.base", outcome.btf_base))
    if outcome.ids is not None:
        parts.append(f".BTF_ids {outcome.ids} ids")
    end = " (unchanged)" if outcome.status == "unchanged" else ""
    return ", ".join(parts) + end


def _sized(section: str, size: Size | None) -> str:
    return f"{section} {size.types} types, {size.bytes} bytes" if size else f"no {section}"
