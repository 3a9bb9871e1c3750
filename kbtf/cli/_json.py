"""JSON documents on standard output."""

from __future__ import annotations

import sys


def print_json(document: object) -> None:
    """Print *document* as every command with ``--json`` does."""
    import json

    json.dump(document, sys.stdout, indent=2)
    print()
