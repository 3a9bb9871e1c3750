"""Results for people at a terminal or in a log."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.check.model import Loading, Severity, Verdict
from kbtf.report.tally import tally_line
from kbtf.report.words import by_module, kernel_labels, plural, sentence, visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from kbtf.check.model import Result

_COLOURS = {
    Verdict.OK: "\x1b[32m",
    Verdict.WARNINGS: "\x1b[33m",
    Verdict.REJECTED: "\x1b[31m",
    Verdict.UNKNOWN: "\x1b[35m",
}
_PLAIN = "\x1b[0m"
_WIDEST = 64
"""Columns: one long path must not push the verdicts of all others off the screen."""


def wants_colour(stream: TextIO) -> bool:
    """Whether *stream* is a terminal that shows colours, and the user has nothing against them."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return stream.isatty()


def render(results: Sequence[Result], *, verbose: bool = False, colour: bool = False) -> str:
    """One line for each module and kernel, what was found below it, and the counts at the end.

    A module on which all kernels agree and about which there is nothing to say has one line for
    all of them.  Notes are shown if *verbose*.
    """
    kernels = kernel_labels(results)
    rows: list[tuple[str, str, Result]] = []
    for group in by_module(results):
        module = visible(group[0].module)
        if len(group) > 1 and _agree(group, verbose=verbose):
            rows.append((module, plural(len(group), "kernel"), group[0]))
        else:
            rows.extend((module, kernels[each.kernel, each.source], each) for each in group)
    modules_wide = min(_WIDEST, max((len(row[0]) for row in rows), default=0))
    kernels_wide = min(_WIDEST, max((len(row[1]) for row in rows), default=0))
    lines: list[str] = []
    for module, kernel, result in rows:
        verdict = _verdict(result, colour=colour)
        lines.append(f"{module:<{modules_wide}}  {kernel:<{kernels_wide}}  {verdict}")
        lines.extend(f"  {line}" for line in _reasons(result, verbose=verbose))
    if len(results) > 1:
        lines.append(tally_line(results))
    return "".join(line + "\n" for line in lines)


def _agree(group: list[Result], *, verbose: bool) -> bool:
    first = group[0]
    return all(
        each.verdict is first.verdict
        and each.loading is first.loading
        and not _reasons(each, verbose=verbose)
        for each in group
    )


def _reasons(result: Result, *, verbose: bool) -> list[str]:
    lines = [
        f"{finding.severity.value} [{finding.code}]: {sentence(finding)}"
        for finding in result.findings
        if verbose or finding.severity is not Severity.NOTE
    ]
    if result.error is not None:
        lines.append(f"error: {visible(result.error)}")
    return lines


def _verdict(result: Result, *, colour: bool) -> str:
    word = result.verdict.value
    if colour:
        word = _COLOURS[result.verdict] + word + _PLAIN
    if result.error is None and result.loading is not Loading.LOADS:
        word += f" ({result.loading.value})"
    return word
