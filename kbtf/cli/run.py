"""``kbtf run``: the four phases on modules."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kbtf.cli._inputs import add_jobs, add_modules, find_modules
from kbtf.cli._json import print_json
from kbtf.cli._options import add_base_options, load
from kbtf.cli._outcomes import print_outcome, run_each
from kbtf.errors import KbtfError, UsageError
from kbtf.host.config import OptionGroup

if TYPE_CHECKING:
    import argparse

    from kbtf.cli._inputs import Given
    from kbtf.host.pipeline import Outcome

DESCRIPTION = """\
Give linked modules resilient BTF: .BTF, .BTF.base and resolved .BTF_ids.

Each module passes four phases (after-link, distill, resolve-btfids, embed-sections) and is then
replaced whole, or not at all.  A second run changes nothing.  One that fails does not stop the
others; the exit code is the worst."""
EXAMPLE = """\
  kbtf run mymodule.ko
  kbtf run --base /boot/vmlinuz-6.12.0 -o out/ *.ko
  kbtf run -j 8 /lib/modules/6.12.0/updates"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_modules(parser)
    parser.add_argument(
        "-o", dest="output", metavar="OUT|DIR", help="write there instead of replacing the module"
    )
    parser.add_argument(
        "--depfile", metavar="FILE", help="write what the output depends on, as make and ninja read"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    verbosity = parser.add_mutually_exclusive_group()
    verbosity.add_argument("-q", "--quiet", action="store_true", help="print only errors")
    verbosity.add_argument("-v", "--verbose", action="store_true", help="print notes too")


def add_options(group: OptionGroup) -> None:
    """Options of the run that may also stand in the configuration."""
    add_base_options(group)
    add_jobs(group)
    group.add(
        "--strip-signature",
        action="store_true",
        default=False,
        help="take off a signature, which any change makes invalid",
    )
    group.add(
        "--dry-run",
        action="store_true",
        default=False,
        help="do everything but write",
    )


def run_with_plugins(parser: argparse.ArgumentParser, args: list[str]) -> int:
    group = OptionGroup()
    add_options(group)
    parsed, config, manager = load(parser, args, group)
    pairs = _with_outputs(find_modules(parsed.modules), parsed.output)
    if parsed.depfile and len(pairs) > 1:
        raise UsageError("--depfile is for one module")
    outcomes = []
    for outcome in run_each(pairs, manager, config, debug=parsed.debug):
        outcomes.append(outcome)
        if not parsed.json:
            print_outcome(outcome, quiet=parsed.quiet, verbose=parsed.verbose)
    if parsed.json:
        _print_json(outcomes)
    code = max(outcome.exit_code for outcome in outcomes)
    if parsed.depfile and not code and not config["dry-run"]:
        from kbtf.kbuild.depfile import write_depfile

        done = outcomes[0]
        needs = [done.module, *([done.base] if done.base else []), *config.files]
        write_depfile(parsed.depfile, [done.output], needs)
    return code


def _with_outputs(modules: list[Given], output: str | None) -> list[tuple[str, str]]:
    """The modules, each with the file to write."""
    if output is None:
        return [(path, path) for path, _ in modules]
    if output.endswith("/") or os.path.isdir(output):
        if not os.path.isdir(output):
            raise KbtfError("no such directory", file=output)
        pairs = [(path, os.path.join(output, name)) for path, name in modules]
        if len({target for _, target in pairs}) < len(pairs):
            raise UsageError(f"two of the modules would be written to one file in {output}")
        for folder in {os.path.dirname(target) for _, target in pairs}:
            os.makedirs(folder, exist_ok=True)
        return pairs
    if len(modules) > 1:
        raise UsageError(
            f"is not a directory, and there are {len(modules)} modules",
            file=output,
            hint="name a directory that exists with -o",
        )
    return [(modules[0].path, output)]


def _print_json(outcomes: list[Outcome]) -> None:
    print_json({"modules": [_plain(outcome) for outcome in outcomes]})


def _plain(outcome: Outcome) -> dict[str, Any]:
    row = outcome._asdict()
    for key in ("btf", "btf_base"):
        row[key] = row[key]._asdict() if row[key] else None
    del row["exit_code"]
    return row
