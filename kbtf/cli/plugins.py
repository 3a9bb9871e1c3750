"""``kbtf plugins``: what is loaded, from where, and in which order it runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kbtf.cli._options import load
from kbtf.cli._table import print_table
from kbtf.host.config import OptionGroup

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
List the plugins with their version, origin and hooks, in the order in which they run."""
EXAMPLE = """\
  kbtf plugins
  kbtf plugins -p ./mypass.py --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON document")


def run_with_plugins(parser: argparse.ArgumentParser, args: list[str]) -> int:
    from kbtf.cli.run import add_options

    group = OptionGroup()
    add_options(group)
    parsed, _, manager = load(parser, args, group)
    rows = [
        {
            "name": plugin.name,
            "version": plugin.version,
            "origin": plugin.origin,
            "hooks": manager.hooks_of(plugin),
        }
        for plugin in reversed(manager.plugins)
    ]
    order = {hook: manager.order_of(hook) for row in rows for hook in row["hooks"]}
    if parsed.json:
        import json

        json.dump({"plugins": rows, "order": order}, sys.stdout, indent=2)
        print()
        return 0
    print_table(
        ("PLUGIN", "VERSION", "ORIGIN", "HOOKS"),
        [(row["name"], row["version"], row["origin"], ", ".join(row["hooks"])) for row in rows],
    )
    return 0
