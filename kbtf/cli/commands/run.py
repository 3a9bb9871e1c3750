# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf run``: run the four phases on modules."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kbtf.cli.common import require_place
from kbtf.cli.inputs import add_modules, find_modules
from kbtf.cli.terminal.outcomes import print_outcome, run_each
from kbtf.errors import UsageError
from kbtf.files.paths import require_distinct
from kbtf.run.options import add_run_options

if TYPE_CHECKING:
    import argparse

    from kbtf.cli.session import Session
    from kbtf.hooks.options import OptionGroup
    from kbtf.run.outcome import Outcome

DESCRIPTION = """\
Add resilient BTF to linked modules: .BTF, .BTF.base and resolved .BTF_ids.

Each module goes through four phases (after-link, distill, resolve-btfids, embed-sections); the file
is then replaced completely or left unchanged.  A second run changes nothing.  A module that fails
does not stop the others; the exit code is the highest of all modules."""
EXAMPLE = """\
  kbtf run mymodule.ko
  kbtf run --base /boot/vmlinuz-6.12.0 -o out/ *.ko
  kbtf run -j 8 /lib/modules/6.12.0/updates"""


def options(parser: argparse.ArgumentParser) -> None:
    add_modules(parser)
    parser.add_argument(
        "-o",
        dest="output",
        metavar="OUT|DIR",
        help="write to OUT instead of replacing the module; for several modules, or a directory of "
        "them, to a directory, which is created",
    )
    parser.add_argument(
        "--depfile", metavar="FILE", help="write the dependencies of the output, for make and ninja"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    verbosity = parser.add_mutually_exclusive_group()
    verbosity.add_argument("-q", "--quiet", action="store_true", help="print only errors")
    verbosity.add_argument("-v", "--verbose", action="store_true", help="print notes too")


def settings(group: OptionGroup) -> None:
    add_run_options(group)


def run(parsed: argparse.Namespace, session: Session) -> int:
    config, manager = session.config, session.manager
    pairs = _with_outputs(parsed.modules, parsed.output)
    if parsed.depfile and len(pairs) > 1:
        raise UsageError("--depfile is for one module")
    if parsed.depfile:
        from kbtf.files.depfile import escape

        for name in pairs[0]:  # before anything is written
            escape(name)
    if parsed.depfile or parsed.output:
        new = [output for path, output in pairs if not _is_same(path, output)]
        inputs = [config["base"], *config.files, *(path for path, _ in pairs)]
        require_distinct([*new, parsed.depfile], inputs)
    if parsed.output and not config["dry-run"]:
        for folder in {os.path.dirname(output) for _, output in pairs if output != parsed.output}:
            os.makedirs(folder, exist_ok=True)
    outcomes = []
    for outcome in run_each(pairs, manager, config, debug=parsed.debug):
        outcomes.append(outcome)
        if not parsed.json:
            print_outcome(
                outcome, quiet=parsed.quiet, verbose=parsed.verbose, dry_run=config["dry-run"]
            )
    if parsed.json:
        _print_json(outcomes)
    code = max(outcome.exit_code for outcome in outcomes)
    if parsed.depfile and not code and not config["dry-run"]:
        from kbtf.files.depfile import write_depfile

        done = outcomes[0]
        needs = [done.module, *([done.base] if done.base else []), *config.files]
        require_distinct([parsed.depfile], needs)
        write_depfile(parsed.depfile, [done.output], needs)
    return code


def _is_same(path: str, output: str) -> bool:
    return os.path.lexists(output) and os.path.realpath(path) == os.path.realpath(output)


def _with_outputs(words: list[str], output: str | None) -> list[tuple[str, str]]:
    """The modules that *words* name, each with its output file."""
    modules = find_modules(words, output)
    if output is None:
        return [(path, path) for path, _ in modules]
    several = len(modules) > 1 or any(map(os.path.isdir, words))
    if not (several or output.endswith("/") or os.path.isdir(output)):
        return [(modules[0].path, output)]
    need = "several modules, or those of a directory, need one"
    require_place(output, hint=need if several else None)
    pairs = [(path, os.path.join(output, name)) for path, name in modules]
    if len({target for _, target in pairs}) < len(pairs):
        raise UsageError(f"two of the modules would be written to one file in {output}")
    return pairs


def _print_json(outcomes: list[Outcome]) -> None:
    from kbtf.cli.terminal.as_json import print_json

    print_json({"modules": [_plain(outcome) for outcome in outcomes]})


def _plain(outcome: Outcome) -> dict[str, Any]:
    row = outcome._asdict()
    for key in ("btf", "btf_base"):
        row[key] = row[key]._asdict() if row[key] else None
    del row["exit_code"]
    return row
