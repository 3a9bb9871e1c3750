# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results in the Test Anything Protocol, version 13, as ``meson test`` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.report.words import kernel_labels, module_labels, sentence
from kbtf.say import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbtf.check.result import Result


def render(results: Sequence[Result]) -> str:
    """One test for each module and kernel; ``not ok`` if it is rejected or unknown."""
    if not results:
        return "TAP version 13\n1..0 # SKIP nothing to check\n"
    modules, kernels = module_labels(results), kernel_labels(results)
    lines = ["TAP version 13", f"1..{len(results)}"]
    for number, result in enumerate(results, 1):
        state = "not ok" if result.verdict.is_bad else "ok"
        name = modules[result.module]
        if kernel := kernels[result.kernel, result.source]:
            name += f" on {kernel}"
        lines.append(f"{state} {number} - {_undirected(name)}")
        lines.append(f"#   verdict: {result.verdict.value}")
        lines.append(f"#   btf: {result.btf.value}")
        lines.append(f"#   loading: {result.loading.value}")
        lines.extend(
            f"#   {finding.severity.value} {finding.code}: {sentence(finding)}"
            for finding in result.findings
        )
        if result.error is not None:
            lines.append(f"#   error: {visible(result.error)}")
    return "".join(line + "\n" for line in lines)


def _undirected(name: str) -> str:
    # meson and others read TAP's own escape, a backslash before "#", as a directive
    return name.replace("#", "\\x23")
