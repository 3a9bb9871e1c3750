# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The forecast for a machine's next boot: as text, and as a document for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.findings.finding import Severity
from kbtf.report.words import plural
from kbtf.say import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kbtf.check.machine.boot import Boot, Problem
    from kbtf.check.machine.running import Loaded

_ORDER = (Severity.ERROR, Severity.WARNING)
_MOST = 10
"""Problems of a kernel that are listed without -v."""


def text(boots: Sequence[Boot], running: str, lost: Sequence[Loaded], *, verbose: bool) -> str:
    """A paragraph for each kernel; *lost* are modules whose BTF the *running* one lacks."""
    lines = [line for boot in boots for line in _boot(boot, running, verbose=verbose)]
    if lost:
        lines.append(f"{running} (running) has no BTF of {plural(len(lost), 'loaded module')}")
        shown = lost if verbose else lost[:_MOST]
        lines += [f"  {module}: {reason}" for module, reason in shown]
        if len(lost) > len(shown):
            lines.append(f"  and {len(lost) - len(shown)} more; -v lists them")
    return "".join(f"{visible(line)}\n" for line in lines)


def brief(boots: Sequence[Boot]) -> str:
    """One line for each kernel with problems."""
    return "".join(f"{visible(_line(boot))}\n" for boot in boots if boot.is_bad)


def _line(boot: Boot) -> str:
    if boot.error is not None:
        return f"kbtf: {boot.release}: {boot.error}"
    bad = {problem.module for problem in boot.problems if problem.severity is Severity.ERROR}
    failing = {problem.module for problem in boot.problems if problem.may_fail}
    losing = bad - failing
    what = []
    if failing:
        what.append(f"{plural(len(failing), 'module')} may fail to load")
    if losing:
        theirs = "its" if len(losing) == 1 else "their"
        what.append(f"{plural(len(losing), 'module')} may lose {theirs} BTF")
    return f"kbtf: {boot.release}: {', '.join(what)}; run 'kbtf status'"


def _boot(boot: Boot, running: str, *, verbose: bool) -> Iterator[str]:
    title = f"{boot.release} (running)" if boot.release == running else boot.release
    if boot.error is not None:
        yield f"{title}: unknown"
        yield f"  error: {boot.error}"
        return
    yield f"{title}: {'problems' if boot.is_bad else 'ok'}"
    early = f", {boot.early:,} of them copied to {boot.initramfs}" if boot.initramfs else ""
    keep = "keeps its" if boot.with_btf == 1 else "keep their"
    yield f"  {plural(boot.modules, 'module')}, {boot.with_btf:,} {keep} BTF{early}"
    if boot.is_bad and boot.refusal_is_fatal is not None:
        effect = "does not load" if boot.refusal_is_fatal else "loads without it"
        yield f"  a module whose BTF this kernel refuses {effect}"
    problems = sorted(boot.problems, key=lambda problem: _ORDER.index(problem.severity))
    shown = problems if verbose else problems[:_MOST]
    for problem in shown:
        yield f"  {problem.severity.value} [{problem.code}]: {_sentence(problem)}"
    if len(problems) > len(shown):
        yield f"  and {len(problems) - len(shown)} more; -v lists them"


def _sentence(problem: Problem) -> str:
    where = " (initramfs)" if problem.initramfs else ""
    hint = f"; {problem.hint}" if problem.hint else ""
    return f"{problem.module}{where}: {problem.text}{hint}"


def document(boots: Sequence[Boot], running: str, lost: Sequence[Loaded] | None) -> dict[str, Any]:
    """The same as JSON; *lost* is None if the running kernel shows no BTF of modules."""
    return {
        "ok": not any(boot.is_bad for boot in boots),
        "running": running,
        "loaded_without_btf": None if lost is None else [each._asdict() for each in lost],
        "kernels": [_as_dict(boot) for boot in boots],
    }


def _as_dict(boot: Boot) -> dict[str, Any]:
    problems = [
        {
            **problem._asdict(),
            "severity": problem.severity.value,
            "loading": problem.loading.value,
        }
        for problem in boot.problems
    ]
    return {
        **boot._asdict(),
        "ok": not boot.is_bad,
        "problems": problems,
        "without_btf": list(boot.without_btf),
    }
