# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf schema``: print the schemas of the JSON documents."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import kbtf
from kbtf.cli.common import as_typed
from kbtf.say import say_text

if TYPE_CHECKING:
    import argparse

FOLDER = os.path.join(os.path.dirname(kbtf.__file__), "schemas")
DESCRIPTION = """\
Print the JSON Schema (2020-12) of a JSON document that kbtf prints; without NAME, list them.

Until the next major version of kbtf, documents may gain new keys, but no key is removed, renamed
or given another meaning, and where a schema lists the values of a key, there will be no others.
Read the keys you know and ignore the rest."""
EXAMPLE = """\
  kbtf schema
  kbtf schema check > check.schema.json"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        nargs="?",
        type=as_typed,
        choices=names(),
        metavar="NAME",
        help="a name from that list",
    )


def names() -> list[str]:
    """The names of all schemas."""
    return sorted(name.removesuffix(".json") for name in os.listdir(FOLDER))


def run(args: argparse.Namespace) -> int:
    if args.name is not None:
        say_text(_read(args.name))
        return 0
    import json

    from kbtf.cli.terminal.table import print_table

    print_table(
        ("NAME", "DOCUMENT"), [(name, json.loads(_read(name))["title"]) for name in names()]
    )
    return 0


def _read(name: str) -> str:
    with open(os.path.join(FOLDER, f"{name}.json"), encoding="utf-8") as file:
        return file.read()
