# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The number of results with each verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.check.result import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.check.result import Result

ORDER = (Verdict.OK, Verdict.WARNINGS, Verdict.REJECTED, Verdict.UNKNOWN)
"""The order of the counts."""


def tally(results: Iterable[Result]) -> dict[Verdict, int]:
    """The count of each verdict, including zeros."""
    counts = dict.fromkeys(ORDER, 0)
    for result in results:
        counts[result.verdict] += 1
    return counts


def tally_line(results: Iterable[Result]) -> str:
    """``4226 ok, 3 warnings, 1 rejected, 0 unknown``."""
    return ", ".join(f"{count} {verdict.value}" for verdict, count in tally(results).items())
