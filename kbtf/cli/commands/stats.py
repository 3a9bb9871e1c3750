# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf stats``: measure how much resilient BTF adds to a tree of modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli.common import for_each
from kbtf.cli.inputs import add_modules, find_modules
from kbtf.cli.terminal.as_json import print_json
from kbtf.say import say_text

if TYPE_CHECKING:
    import argparse

    from kbtf.report.stats import ModuleSize, Stats

DESCRIPTION = """\
Report how much .BTF.base adds to modules: how many have it, the mean size and its standard
deviation, the largest, the total, and a histogram."""
EXAMPLE = """\
  kbtf stats /lib/modules/$(uname -r)
  kbtf stats --html sizes.html build/"""


def options(parser: argparse.ArgumentParser) -> None:
    add_modules(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument("--html", metavar="FILE", help="also write an HTML page")


def run(args: argparse.Namespace) -> int:
    from kbtf.files.paths import require_distinct
    from kbtf.report import stats

    sizes: list[ModuleSize] = []
    paths = [path for path, _ in find_modules(args.modules)]
    if args.html:
        require_distinct([args.html], paths)
    code = for_each(paths, lambda path: sizes.append(stats.measure(path)), debug=args.debug)
    found = stats.summarise(sizes)
    if args.html:
        from kbtf.cli.common import write_file

        write_file(args.html, stats.page(found, "kbtf stats").encode())
    if args.json:
        _print_json(found)
    elif sizes:
        say_text(stats.text(found))
    return code


def _print_json(found: Stats) -> None:
    document = {
        **found._asdict(),
        "largest": found.largest._asdict() if found.largest else None,
        "histogram": [each._asdict() for each in found.histogram],
    }
    print_json(document)
