# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""JSON documents on standard output."""

from __future__ import annotations

from kbtf.say import say_text


def print_json(document: object) -> None:
    """Print *document* as every command with ``--json`` does."""
    import json

    for part in json.JSONEncoder(indent=2).iterencode(document):
        say_text(part)
    say_text("\n")
