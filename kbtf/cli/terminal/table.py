# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Tables for people: columns as wide as their widest cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.say import say, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print *rows* under *head*, the last column unpadded."""
    cells = [list(head), *([visible(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head) - 1)]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        say("  ".join([*padded, row[-1]]).rstrip())
