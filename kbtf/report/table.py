# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results for people at a terminal or in a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.check.result import Loading
from kbtf.findings.finding import Severity
from kbtf.report.colour import painted
from kbtf.report.tally import tally_line
from kbtf.report.words import by_module, finding_line, kernel_labels, plural
from kbtf.say import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbtf.check.result import Result

_WIDEST = 64
"""In columns: one long path must not push the verdicts of all others off the screen."""


def render(results: Sequence[Result], *, verbose: bool = False, colour: bool = False) -> str:
    """One line for each module and kernel, the findings below it, and the counts at the end.

    A module without findings on which all kernels agree has one line for all of them.  Notes are
    shown if *verbose*.
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
        lines.extend(f"  {line}" for line in _reasons(result, verbose=verbose, colour=colour))
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


def _reasons(result: Result, *, verbose: bool, colour: bool = False) -> list[str]:
    lines = [
        finding_line(finding, colour=colour)
        for finding in result.findings
        if verbose or finding.severity is not Severity.NOTE
    ]
    if result.error is not None:
        lines.append(f"{painted('error', colour=colour)}: {visible(result.error)}")
    return lines


def _verdict(result: Result, *, colour: bool) -> str:
    word = painted(result.verdict.value, colour=colour)
    if result.error is None and result.loading is not Loading.LOADS:
        word += f" ({result.loading.value})"
    return word
