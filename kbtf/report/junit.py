"""Results as JUnit XML, which most CI systems show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.check.model import Severity, Verdict
from kbtf.report.words import kernel_labels, module_labels, sentence, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbtf.check.model import Result

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;"})


def render(results: Sequence[Result]) -> str:
    """A test suite for each kernel, a test case for each module.

    Rejected is a failure, unknown is an error; what else was found is the test's output.
    """
    modules, kernels = module_labels(results), kernel_labels(results)
    suites: dict[tuple[str, str], list[Result]] = {key: [] for key in kernels}
    for result in results:
        suites[result.kernel, result.source].append(result)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuites name="kbtf check"{_counts(results)}>')
    for key, suite in suites.items():
        lines.append(f'<testsuite name="{_xml(kernels[key])}"{_counts(suite)}>')
        for result in suite:
            lines.extend(_case(result, modules[result.module], kernels[key]))
        lines.append("</testsuite>")
    lines.append("</testsuites>")
    return "".join(line + "\n" for line in lines)


def _counts(results: Sequence[Result]) -> str:
    verdicts = [result.verdict for result in results]
    failures, errors = verdicts.count(Verdict.REJECTED), verdicts.count(Verdict.UNKNOWN)
    return f' tests="{len(results)}" failures="{failures}" errors="{errors}"'


def _case(result: Result, module: str, kernel: str) -> list[str]:
    head = f'<testcase name="{_xml(module)}" classname="{_xml(kernel)}"'
    reasons = [f for f in result.findings if f.severity is Severity.ERROR]
    blames = result.verdict.is_bad
    inside: list[str] = []
    if blames:
        element = "failure" if result.verdict is Verdict.REJECTED else "error"
        kind = reasons[0].code if reasons else "unknown"
        words = [sentence(finding) for finding in reasons]
        if result.error is not None:
            kind, words = "bad-input", [visible(result.error), *words]
        message = words[0] if words else f"{result.verdict.value}: {result.loading.value}"
        said = [f"BTF {result.btf.value}, module {result.loading.value}"]
        if result.error is not None:
            said = []
        body = "\n".join([*words, *said])
        inside.append(
            f'<{element} type="{_xml(kind)}" message="{_xml(message)}">{_xml(body)}</{element}>'
        )
    output = "\n".join(
        f"{finding.severity.value} {finding.code}: {sentence(finding)}"
        for finding in result.findings
        if not (blames and finding.severity is Severity.ERROR)
    )
    if output:
        inside.append(f"<system-out>{_xml(output)}</system-out>")
    return [head + ">", *inside, "</testcase>"] if inside else [head + "/>"]


def _xml(text: str) -> str:
    # visible() leaves no character that XML 1.0 forbids: those are controls, surrogates and
    # noncharacters, and none of them is printable.  The newline between sentences is ours.
    return "\n".join(map(visible, text.split("\n"))).translate(_ENTITIES)
