# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Changes for BPF programs, in formats for people and CI systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from kbtf.bpf.compare import Compatibility, verdict
from kbtf.report.words import plural
from kbtf.say import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbtf.bpf.compare import Change


def text(changes: Sequence[Change], *, verbose: bool) -> str:
    """A line for each change that breaks programs, with -v for all; the verdict last."""
    lines = [
        f"{change.effect.value} [{change.kind}]: {visible(change.kfunc)}: {visible(change.text)}"
        for change in sorted(changes, key=lambda change: -change.effect.rank)
        if verbose or change.effect is Compatibility.BREAKING
    ]
    counts = [
        f"{count:,} {effect.value}"
        for effect in Compatibility
        if (count := sum(change.effect is effect for change in changes))
    ]
    found = f"{plural(len(changes), 'change')}: {', '.join(counts)}" if counts else "no changes"
    lines.append(f"{verdict(changes).value} ({found})")
    return "".join(line + "\n" for line in lines)


def document(old: str, new: str, changes: Sequence[Change]) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "old": old,
        "new": new,
        "verdict": verdict(changes).value,
        "changes": [{**change._asdict(), "effect": change.effect.value} for change in changes],
    }


def tap(changes: Sequence[Change]) -> str:
    """One test for each kfunc that changed; ``not ok`` if a change breaks programs."""
    by_name = _by_name(changes)
    if not by_name:
        return "TAP version 13\n1..0 # SKIP nothing changed\n"
    lines = ["TAP version 13", f"1..{len(by_name)}"]
    for number, (name, found) in enumerate(by_name.items(), 1):
        state = "not ok" if verdict(found) is Compatibility.BREAKING else "ok"
        lines.append(f"{state} {number} - {visible(name)}".replace("#", "\\x23"))
        lines += [
            f"#   {change.effect.value} {change.kind}: {visible(change.text)}" for change in found
        ]
    return "".join(line + "\n" for line in lines)


def junit(changes: Sequence[Change]) -> str:
    """One test case for each kfunc that changed; a change that breaks programs is a failure."""
    by_name = _by_name(changes)
    broken = sum(verdict(found) is Compatibility.BREAKING for found in by_name.values())
    counts = {"tests": str(len(by_name)), "failures": str(broken), "errors": "0"}
    suites = ElementTree.Element("testsuites", {"name": "kbtf kfuncs", **counts})
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "kfuncs", **counts})
    for name, found in by_name.items():
        attributes = {"name": visible(name), "classname": "kfuncs"}
        case = ElementTree.SubElement(suite, "testcase", attributes)
        said = "\n".join(f"{c.effect.value} {c.kind}: {visible(c.text)}" for c in found)
        if verdict(found) is Compatibility.BREAKING:
            worst = next(c for c in found if c.effect is Compatibility.BREAKING)
            why = {"type": worst.kind, "message": visible(worst.text)}
            ElementTree.SubElement(case, "failure", why).text = said
        else:
            ElementTree.SubElement(case, "system-out").text = said
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _by_name(changes: Sequence[Change]) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.kfunc, []).append(change)
    return found
