# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What README and the pages show: the blocks that carry a mark, for it is these that tests run."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent


def block(page: str, name: str) -> str:
    """The code block of a page, named from the root, behind the mark of that name."""
    _, found, rest = (ROOT / page).read_text().partition(f"<!-- test: {name} -->\n")
    assert found, name
    return rest.split("```")[1].partition("\n")[2]
