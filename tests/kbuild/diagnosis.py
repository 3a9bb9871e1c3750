# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What ``kbtf doctor`` says."""

from __future__ import annotations

from typing import NamedTuple

OTHER = "6.11.9-other"


class Said(NamedTuple):
    """What the doctor says: the exit code, and severity, text and hint by code."""

    code: int
    findings: dict[str, tuple[str, str, str]]

    def severity(self, code: str) -> str:
        return self.findings[code][0]

    def text(self, code: str) -> str:
        return " -> ".join(self.findings[code][1:])
