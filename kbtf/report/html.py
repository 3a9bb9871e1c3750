# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results as a self-contained HTML page: modules by kernels, filters, and reasons."""

from __future__ import annotations

import os
import re
from html import escape
from typing import TYPE_CHECKING, Any

from kbtf.check.result import BtfFate, Loading
from kbtf.findings.finding import Severity
from kbtf.report import meanings
from kbtf.report.tally import ORDER, tally
from kbtf.report.words import NO_KERNEL, kernel_labels, plural, scope
from kbtf.say import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbtf.check.result import Result
    from kbtf.findings.finding import Finding

_PAGE = os.path.join(os.path.dirname(__file__), "page")
_SCRIPTS = ("data.js", "filter.js", "grid.js", "details.js", "export.js", "app.js")
"""In dependency order; they are joined into one script."""


def render(results: Sequence[Result], *, title: str = "kbtf check") -> str:
    """The page: reproducible, and it fetches nothing."""
    import json

    from kbtf.version import VERSION

    style = _part("page.css")
    script = '"use strict";\n' + "".join(map(_part, _SCRIPTS))
    data = json.dumps(page_data(results), separators=(",", ":"))
    counts = tally(results)
    parts = {
        "TITLE": _html(title),
        "SCOPE": _html(scope(results)),
        "RESULTS": plural(len(results), "result"),
        "TALLY": ", ".join(f"{each:,} {verdict.value}" for verdict, each in counts.items()),
        "VERSION": _html(VERSION),
        "MEANINGS": meanings.render(found for result in results for found in result.findings),
        "STYLE": style,
        "STYLE_HASH": _hash(style),
        "SCRIPT": script,
        "SCRIPT_HASH": _hash(script),
        # a script element ends at the first "</script", even inside JSON
        "DATA": data.replace("<", "\\u003c"),
    }
    # one pass: inserted text is not searched again
    return re.sub(r"@([A-Z_]+)@", lambda match: parts[match[1]], _part("page.html"))


def page_data(results: Sequence[Result]) -> dict[str, Any]:
    """The data of the page; repeated items are stored once and referred to by index."""
    kernels = kernel_labels(results)
    columns = {key: at for at, key in enumerate(kernels)}
    findings: dict[Finding, int] = {}
    outcomes: dict[tuple[object, ...], int] = {}
    rows: dict[str, list[int]] = {}
    names: dict[str, str] = {}
    for result in results:
        said = tuple(findings.setdefault(each, len(findings)) for each in result.findings)
        outcome = (
            ORDER.index(result.verdict),
            _FATES.index(result.btf),
            _LOADINGS.index(result.loading),
            said,
            result.error and visible(result.error),
        )
        row = rows.setdefault(result.module, [-1] * len(columns))
        names[result.module] = result.name
        row[columns[result.kernel, result.source]] = outcomes.setdefault(outcome, len(outcomes))
    return {
        "verdicts": [verdict.value for verdict in ORDER],
        "ranks": [verdict.rank for verdict in ORDER],
        "fates": [fate.value for fate in _FATES],
        "loadings": [loading.value for loading in _LOADINGS],
        "severities": [severity.value for severity in _SEVERITIES],
        "kernels": [
            [label or NO_KERNEL, visible(source)] for (_, source), label in kernels.items()
        ],
        "findings": [_finding(finding) for finding in findings],
        "outcomes": list(outcomes),
        "modules": [[visible(path), visible(names[path]), row] for path, row in rows.items()],
    }


_FATES = tuple(BtfFate)
_LOADINGS = tuple(Loading)
_SEVERITIES = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


def _finding(finding: Finding) -> list[object]:
    return [
        _SEVERITIES.index(finding.severity),
        finding.code,
        visible(finding.text),
        finding.type and visible(finding.type),
        finding.hint and visible(finding.hint),
    ]


def _part(name: str) -> str:
    with open(os.path.join(_PAGE, name), encoding="utf-8") as file:
        return file.read()


def _html(text: str) -> str:
    return escape(visible(text))


def _hash(text: str) -> str:
    """The hash of an allowed script or style in a Content-Security-Policy."""
    import base64
    import hashlib

    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
