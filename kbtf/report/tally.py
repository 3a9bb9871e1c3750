"""How many results had which verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.check.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.check.model import Result

ORDER = (Verdict.OK, Verdict.WARNINGS, Verdict.REJECTED, Verdict.UNKNOWN)
"""The order in which counts are said."""


def tally(results: Iterable[Result]) -> dict[Verdict, int]:
    """The count of each verdict, also where it is zero."""
    counts = dict.fromkeys(ORDER, 0)
    for result in results:
        counts[result.verdict] += 1
    return counts


def tally_line(results: Iterable[Result]) -> str:
    """``4226 ok, 3 warnings, 1 rejected, 0 unknown``."""
    return ", ".join(f"{count} {verdict.value}" for verdict, count in tally(results).items())
