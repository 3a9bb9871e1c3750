# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Colours of verdicts and severities on a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_GREEN, _YELLOW, _RED, _MAGENTA = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[35m"
_PLAIN = "\x1b[0m"
_OF_WORD = {
    "ok": _GREEN,
    "warnings": _YELLOW,
    "warning": _YELLOW,
    "rejected": _RED,
    "error": _RED,
    "unknown": _MAGENTA,
}


def wants_colour(stream: TextIO | None = None) -> bool:
    """Whether *stream*, by default standard output, is a terminal and the user allows colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return (stream or sys.stdout).isatty()


def painted(word: str, *, colour: bool) -> str:
    """A verdict or a severity, coloured if *colour*; a note stays plain."""
    code = _OF_WORD.get(word)
    return f"{code}{word}{_PLAIN}" if colour and code else word
