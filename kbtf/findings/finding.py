# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The type of a finding."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    """How serious a finding is."""

    OK = "ok"
    """Checked, and nothing is wrong: only ``kbtf doctor`` reports that."""
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """A finding, in terms that a module author understands."""

    severity: Severity
    code: str
    """For scripts, and stable: ``unmapped``, ``embedded-resized``, ``stale``, ..."""
    text: str
    type: str | None = None
    """The type it is about, as in ``struct device_type``, or the function, set or symbol."""
    hint: str | None = None
    """What to do about it."""

    def as_dict(self) -> dict[str, str | None]:
        """The object for JSON."""
        return {**self._asdict(), "severity": self.severity.value}
