# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The closing section of the page: what each code that occurs means."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from kbtf.findings.deep import DEEP
from kbtf.findings.loading import LOADING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.findings.finding import Finding, Severity


def render(findings: Iterable[Finding]) -> str:
    """A list of definitions; the entry of a code has the id ``finding-CODE``."""
    found: dict[str, set[Severity]] = {}
    for finding in findings:
        found.setdefault(finding.code, set()).add(finding.severity)
    return "\n".join(line for code in sorted(found) for line in _entry(code, found[code]))


def _entry(code: str, severities: set[Severity]) -> Iterator[str]:
    """The checks share some codes: only rows with a severity that occurred are shown."""
    yield f'<dt id="finding-{code}" tabindex="-1"><code>{code}</code></dt>'
    for row in (*LOADING, *DEEP):
        if row.code == code and severities.intersection(row.severities):
            words = ", ".join(severity.value for severity in row.severities)
            yield f"<dd>{escape(_plain(row.meaning))} ({words})</dd>"


def _plain(markdown: str) -> str:
    return re.sub(r"`|\[|\]\(.*?\)", "", markdown)
