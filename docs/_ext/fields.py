# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Leaves out what Python itself says of the fields of a NamedTuple: "Alias for field number 0"."""

from typing import Any


def leave_out(
    app: Any, what: str, name: str, thing: object, options: Any, lines: list[str]
) -> None:
    """Empty a docstring that nobody wrote."""
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", leave_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
