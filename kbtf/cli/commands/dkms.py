# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf dkms``: install the drop-in that adds resilient BTF to modules of all DKMS packages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.cli.itself import program_to_run, warn_if_exposed
from kbtf.cli.terminal.as_json import print_json
from kbtf.cli.terminal.messages import print_warning
from kbtf.errors import UsageError
from kbtf.say import say

if TYPE_CHECKING:
    import argparse

    from kbtf.kbuild.dkms import Status
    from kbtf.kbuild.dkms_builds import Unfinished

DESCRIPTION = """\
Add resilient BTF to all modules that dkms builds, without changing their packages.  The drop-in
puts a wrapper for make first on dkms's PATH; it makes Kbuild run kbtf in its own BTF step.  If
kbtf fails, Kbuild's step runs instead; no build fails because of kbtf.

'enable' writes three files in /etc/dkms, 'disable' removes them.  'status' reports whether the
files work.  It also lists the modules from the last builds that have no BTF, or only Kbuild's
because kbtf failed, each with the reason and the command that rebuilds it; exit code 1 if anything
is wrong.  dkms runs all of this as root, including kbtf's plugins."""
EXAMPLE = """\
  sudo kbtf dkms enable
  kbtf dkms status
  kbtf dkms enable --root debian/kbtf-dkms --program /usr/bin/kbtf"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("enable", "disable", "status"),
        help="install the drop-in, remove it, or report on it",
    )
    parser.add_argument(
        "--root", metavar="DIR", help="write below DIR, for instance into a package"
    )
    parser.add_argument(
        "--program", metavar="FILE", help="the kbtf that dkms runs (default: this one)"
    )
    parser.add_argument("--json", action="store_true", help="status as a JSON document")


def run(args: argparse.Namespace) -> int:
    from kbtf.kbuild import dkms

    if args.program and args.action != "enable":
        raise UsageError("--program is for enable")
    if args.json and args.action != "status":
        raise UsageError("--json is for status")
    root = os.path.abspath(args.root or "/")
    if args.action == "status":
        return _print_status(root, as_json=args.json)
    if args.action == "disable":
        removed = dkms.disable(root)
        say(*([f"removed {path}" for path in removed] or ["not enabled"]))
        return 0
    if not args.root:
        dkms.require_dkms()
    program = program_to_run(args.program, "dkms")
    for path in dkms.enable(root, program):
        say(f"wrote {path}")
    if not args.root:
        warn_if_exposed(program, "dkms")
    return 0


def _print_status(root: str, *, as_json: bool) -> int:
    from kbtf.kbuild.dkms import status
    from kbtf.kbuild.dkms_builds import unfinished_modules

    found, unfinished = status(root), list(unfinished_modules(root))
    bare = [row for row, has_btf in unfinished if not has_btf]
    plain = [row for row, has_btf in unfinished if has_btf]
    if as_json:
        lists = {"without_btf": bare, "kbuilds_btf": plain}
        as_rows = {name: [row._asdict() for row in rows] for name, rows in lists.items()}
        print_json({**found._asdict(), **as_rows})
        return _verdict(found, bare, plain)
    if not found.files:
        say("not enabled")
    else:
        if not found.problems:
            say(f"enabled, runs {found.program}")
        for path in found.files:
            say(f"  {path}")
        for problem in found.problems:
            print_warning(problem)
    for what, rows in (("no BTF", bare), ("only Kbuild's BTF", plain)):
        for row in rows:
            say(f"{row.module}: {what}: {row.reason}")
            say(f"  build it again: {row.remedy}")
    return _verdict(found, bare, plain)


def _verdict(found: Status, *unfinished: list[Unfinished]) -> int:
    return int(not found.enabled or bool(found.problems) or any(unfinished))
