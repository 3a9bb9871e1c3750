# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Errors and warnings on standard error, one line each; and how to count things in words."""

from __future__ import annotations

from kbtf.say import complain


def print_error(error: object) -> None:
    """Print an error."""
    complain(f"kbtf: error: {error}")


def print_warning(text: object) -> None:
    """Print a warning."""
    complain(f"kbtf: warning: {text}")


def counted(number: int, noun: str) -> str:
    """``1 type``, ``1115 bytes``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
