# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Compares kbtf with its peers: see README.md.

Exit code: 0 all limits hold, 1 one does not, 2 usage or an editable install, 4 nothing to measure
on.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests"))

import encoding
import many
import measures
from inputs import KBTF, Inputs, package
from measures import Result

import real

MEASURES = {**measures.MEASURES, **many.MEASURES, **encoding.MEASURES}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure kbtf and its peers side by side.")
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument("--repeat", type=int, default=21, metavar="N", help="pairs (default: 21)")
    parser.add_argument(
        "--only", choices=MEASURES, action="append", metavar="NAME", help=", ".join(MEASURES)
    )
    parser.add_argument(
        "--tree",
        type=Path,
        metavar="DIR",
        help="modules, which may be compressed and signed (default: those of the installed kernel)",
    )
    parser.add_argument(
        "--pahole",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="one more pahole to compare with (default: the installed one, Debian 13's, sid's)",
    )
    options = parser.parse_args()
    if options.repeat < 1:
        parser.error("--repeat must be at least 1")
    if not all("=" in word for word in options.pahole):
        parser.error("--pahole takes NAME=PATH")
    return options


def require_installed() -> None:
    """Require what users have: files in site-packages, compiled, with a console script."""
    if (package().parent / "meson.build").exists():
        sys.exit(f"bench: {package()} is a source tree: install kbtf with pip, not editable")
    if not KBTF.exists():
        sys.exit(f"bench: {KBTF} is missing: run the Python that kbtf was installed for")


def measure(names: list[str], inputs: Inputs, repeat: int) -> list[Result]:
    """The results, each printed on standard error as soon as it is there."""
    results: list[Result] = []
    for number, name in enumerate(names, start=1):
        progress(f"measuring {name} ({number} of {len(names)}) ...")
        try:
            for result in MEASURES[name](inputs, repeat):
                results.append(result)
                say(" ".join(cell for cell in row(result) if cell != "-"))
                progress(f"measuring {name} ({number} of {len(names)}) ...")
        except real.Missing as error:
            say(f"skipped: {name}: {error}")
    progress("")
    return results


def say(line: str) -> None:
    progress("")
    print(line, file=sys.stderr, flush=True)


def progress(text: str) -> None:
    """Overwrite the last line of a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{len(models)} x {models[0] if models else platform.machine()}, {python}"


def plain(result: Result) -> dict[str, object]:
    derived = {"ratio": result.ratio, "value": result.value, "holds": result.holds}
    return {**result._asdict(), **derived}


def row(result: Result) -> list[str]:
    form = {"ratio": "{:g} x", "more": "+{:g} {}", "most": "{:g} {}"}[result.compared]
    return [
        result.name,
        result.what,
        f"{result.kbtf:.2f} {result.unit}",
        f"{result.peer:.2f} {result.unit}" if result.peer is not None else "-",
        f"{result.ratio:.2f}" if result.ratio is not None else "-",
        "-" if result.limit is None else form.format(result.limit, result.unit),
        "-" if result.limit is None else "yes" if result.holds else "NO",
    ]


def print_table(results: list[Result]) -> None:
    print(f"measured on {machine()}")
    head = ["name", "what; peer", "kbtf", "peer", "ratio", "at most", "holds"]
    rows = [head, ["---"] * len(head), *map(row, results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(f"| {' | '.join(padded)} |")


def main() -> int:
    options = arguments()
    try:
        require_installed()
    except SystemExit as error:
        print(error, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="kbtf-bench-") as folder:
        named = dict(word.split("=", 1) for word in options.pahole)
        inputs = Inputs(Path(folder), options.tree, named)
        results = measure(options.only or list(MEASURES), inputs, options.repeat)
    if not results:
        return 4
    if options.json:
        rows = [plain(result) for result in results]
        print(json.dumps({"machine": machine(), "repeat": options.repeat, "results": rows}))
    else:
        print_table(results)
    return 0 if all(result.holds for result in results) else 1


sys.exit(main())
