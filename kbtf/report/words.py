# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The wording of results, shared by all formats for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from kbtf.report.colour import painted
from kbtf.say import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kbtf.check.result import Result
    from kbtf.findings.finding import Finding

_Key = TypeVar("_Key")


def sentence(finding: Finding) -> str:
    """The finding and its hint, in one line, with the type unless the text names it."""
    text = finding.text
    if finding.type is not None and finding.type not in text:
        text = f"{finding.type}: {text}"
    return visible(f"{text}; {finding.hint}" if finding.hint else text)


def finding_line(finding: Finding, *, colour: bool) -> str:
    """The severity, the code and the `sentence`, for a terminal or a log."""
    severity = painted(finding.severity.value, colour=colour)
    return f"{severity} [{finding.code}]: {sentence(finding)}"


def module_labels(results: Iterable[Result]) -> dict[str, str]:
    """The label of each module path: its name, or the path if modules share a name."""
    names = {result.module: result.name for result in results}
    return _unlike(names, {path: path for path in names})


NO_KERNEL = "no kernel"
"""The heading above modules that cannot be read."""


def kernel_labels(results: Iterable[Result]) -> dict[tuple[str, str], str]:
    """The label of each kernel and source: the kernel, with its source if others share it.

    It is empty for a module that cannot be read, which was checked against none.
    """
    kernels = {(result.kernel, result.source): result.kernel for result in results}
    return _unlike(kernels, {key: f"{key[0]} ({key[1]})" for key in kernels})


def _unlike(short: dict[_Key, str], long: dict[_Key, str]) -> dict[_Key, str]:
    seen: dict[str, int] = {}
    for label in short.values():
        seen[label] = seen.get(label, 0) + 1
    return {key: visible(label if seen[label] == 1 else long[key]) for key, label in short.items()}


def by_module(results: Iterable[Result]) -> list[list[Result]]:
    """The results of each module; modules and kernels keep their order."""
    modules: dict[str, list[Result]] = {}
    for result in results:
        modules.setdefault(result.module, []).append(result)
    return list(modules.values())


def count_kernels(results: Iterable[Result]) -> int:
    """The number of kernels; a module that cannot be read was checked against none."""
    return len({(result.kernel, result.source) for result in results if result.kernel})


def plural(count: int, noun: str) -> str:
    """``1 module``, ``4,000 modules``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def scope(results: Sequence[Result]) -> str:
    """``4,000 modules on 3 kernels``."""
    modules = plural(len({result.module for result in results}), "module")
    return f"{modules} on {plural(count_kernels(results), 'kernel')}"
