# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Errors and warnings on standard error, one line each."""

from __future__ import annotations

from kbtf.say import complain


def print_error(error: object) -> None:
    """Print an error."""
    complain(f"kbtf: error: {error}")


def print_warning(text: object) -> None:
    """Print a warning."""
    complain(f"kbtf: warning: {text}")
