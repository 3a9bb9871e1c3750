# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Messages and exit of the stand-ins."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.errors import KbtfError, UsageError
from kbtf.say import complain

if TYPE_CHECKING:
    from collections.abc import Sequence


class Failure(KbtfError):  # noqa: N818 - it carries the words of the tool that is stood in for
    """The end of a run: *lines* for standard error, worded like the original's, and a code."""

    def __init__(self, *lines: str, code: int = 255) -> None:
        super().__init__(*lines[:1])
        self.lines = lines
        self.exit_code = code


def report(program: str, error: KbtfError, code: int | None = None) -> int:
    """Report the error that stopped *program*; the exit code is *code*, or that of the error."""
    if isinstance(error, Failure):
        for line in error.lines:
            complain(line)
        return error.exit_code
    complain(f"{program}: error: {error}")
    return error.exit_code if code is None else code


def named_in_environment(variable: str, known: Sequence[str]) -> str | None:
    """Which of the *known* names a variable has, None if it is empty; UsageError for another."""
    name = os.environ.get(variable) or None
    if name is not None and name not in known:
        raise UsageError(f"unknown {variable} {name}", hint=f"known are {', '.join(known)}")
    return name
