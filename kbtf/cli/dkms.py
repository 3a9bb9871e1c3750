"""``kbtf dkms``: the drop-in that gives the modules of all DKMS packages resilient BTF."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import kbtf
from kbtf.cli import print_warning
from kbtf.cli._json import print_json
from kbtf.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from kbtf.kbuild import dkms

DESCRIPTION = """\
Give the modules that dkms builds resilient BTF, whatever their packages say: the drop-in lets dkms
find a make that runs the real one and then 'kbtf run', before dkms strips, signs and compresses.
A build never fails for it; what goes wrong stands in make.log.

'enable' writes two files below /etc/dkms, 'disable' removes them, 'status' tells whether they are
there and will do (exit code 0) or not (1).  dkms runs all of it as root, plugins of kbtf too."""
EXAMPLE = """\
  sudo kbtf dkms enable
  kbtf dkms status
  kbtf dkms enable --root debian/kbtf-dkms --program /usr/bin/kbtf"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("enable", "disable", "status"))
    parser.add_argument(
        "--root", metavar="DIR", help="the files are below DIR, as in a package that is being made"
    )
    parser.add_argument(
        "--program", metavar="FILE", help="the kbtf that dkms is to run (default: this one)"
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
        return _tell(dkms.status(root), as_json=args.json)
    if args.action == "disable":
        for path in dkms.disable(root):
            print(f"removed {path}")
        return 0
    if not args.root:
        dkms.require_dkms()
    program = args.program or _this_program()
    if not os.path.isabs(program):
        raise UsageError(f"--program {program} is not an absolute path")
    for path in dkms.enable(root, program):
        print(f"wrote {path}")
    if not args.root:
        _warn_if_exposed(program)
    return 0


def _this_program() -> str:
    program = os.path.abspath(sys.argv[0])
    if os.path.basename(program) != "kbtf" or not os.access(program, os.X_OK):
        raise UsageError("no kbtf was found for dkms to run", hint="name it with --program")
    return program


def _warn_if_exposed(program: str) -> None:
    from kbtf.kbuild.dkms import exposed

    path = exposed((program, sys.executable, os.path.dirname(kbtf.__file__)))
    if path:
        print_warning(
            f"{path}: others than root can change it, and dkms runs it as root; install kbtf where "
            "only root writes, such as in /opt or from a package"
        )


def _tell(found: dkms.Status, *, as_json: bool) -> int:
    if as_json:
        print_json(found._asdict())
    elif not found.files:
        print("not enabled")
    else:
        if not found.problems:
            print(f"enabled, runs {found.program}")
        for path in found.files:
            print(f"  {path}")
        for problem in found.problems:
            print_warning(problem)
    return int(not found.enabled or bool(found.problems))
