# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results as JUnit XML, which most CI systems display."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from kbtf.check.result import Verdict
from kbtf.findings.finding import Severity
from kbtf.report.words import NO_KERNEL, kernel_labels, module_labels, sentence
from kbtf.say import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbtf.check.result import Result


def render(results: Sequence[Result]) -> str:
    """A test suite for each kernel, a test case for each module.

    Rejected is a failure, unknown is an error; other findings are the test's output.
    """
    modules, kernels = module_labels(results), kernel_labels(results)
    suites: dict[tuple[str, str], list[Result]] = {key: [] for key in kernels}
    for result in results:
        suites[result.kernel, result.source].append(result)
    root = ET.Element("testsuites", {"name": "kbtf check", **_counts(results)})
    for key, suite in suites.items():
        name = _text(kernels[key]) or NO_KERNEL
        element = ET.SubElement(root, "testsuite", {"name": name, **_counts(suite)})
        for result in suite:
            _add_case(element, result, _text(modules[result.module]), name)
    ET.indent(root, "")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _counts(results: Sequence[Result]) -> dict[str, str]:
    verdicts = [result.verdict for result in results]
    numbers = {
        "tests": len(results),
        "failures": verdicts.count(Verdict.REJECTED),
        "errors": verdicts.count(Verdict.UNKNOWN),
    }
    return {name: str(number) for name, number in numbers.items()}


def _add_case(suite: ET.Element, result: Result, module: str, kernel: str) -> None:
    case = ET.SubElement(suite, "testcase", {"name": module, "classname": kernel})
    blames = result.verdict.is_bad
    if blames:
        _add_blame(case, result)
    output = "\n".join(
        f"{finding.severity.value} {finding.code}: {sentence(finding)}"
        for finding in result.findings
        if not (blames and finding.severity is Severity.ERROR)
    )
    if output:
        ET.SubElement(case, "system-out").text = _text(output)


def _add_blame(case: ET.Element, result: Result) -> None:
    reasons = [f for f in result.findings if f.severity is Severity.ERROR]
    kind = reasons[0].code if reasons else "unknown"
    words = [sentence(finding) for finding in reasons]
    said = [f"BTF {result.btf.value}, module {result.loading.value}"]
    if result.error is not None:
        kind, words, said = "bad-input", [visible(result.error), *words], []
    message = words[0] if words else f"{result.verdict.value}: {result.loading.value}"
    name = "failure" if result.verdict is Verdict.REJECTED else "error"
    element = ET.SubElement(case, name, {"type": kind, "message": _text(message)})
    element.text = _text("\n".join([*words, *said]))


def _text(text: str) -> str:
    # visible() escapes every character that XML 1.0 forbids: controls, surrogates and
    # noncharacters, none of which is printable.  The newline between sentences is added here.
    return "\n".join(map(visible, text.split("\n")))
