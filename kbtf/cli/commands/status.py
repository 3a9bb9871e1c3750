# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf status``: report what the next boot does with the BTF of this machine's modules."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kbtf.cli.itself import program_to_run, warn_if_exposed
from kbtf.cli.terminal.as_json import print_json
from kbtf.cli.terminal.messages import print_warning
from kbtf.errors import KbtfError, UsageError
from kbtf.say import say, say_text

if TYPE_CHECKING:
    import argparse

    from kbtf.check.machine.installed import InstalledKernel

DESCRIPTION = """\
Predict, for each installed kernel, which modules lose their BTF or do not load at the next boot:
those in /lib/modules and their copies in the initramfs.  Copies that differ from the installed
module are named.  For the running kernel, loaded modules without BTF are listed too.

Facts about modules are cached, so only the first run takes long.  Exit code 1: at the next boot, a
module would not load or would lose its BTF.

--hook enable installs a hook that runs this command after each kernel installation; it prints at
most three lines and never makes the installation fail."""
EXAMPLE = """\
  kbtf status
  kbtf status --kernel 6.12.117+deb12-amd64 --json
  kbtf status --root /mnt                     # a system mounted there
  sudo kbtf status --hook enable"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kernel",
        dest="kernels",
        action="append",
        metavar="RELEASE",
        help="only this installed kernel; repeatable (default: all)",
    )
    parser.add_argument(
        "--root", metavar="DIR", default="/", help="the root directory of the system (default: /)"
    )
    parser.add_argument("--no-cache", action="store_true", help="neither use nor keep the cache")
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument("-v", "--verbose", action="store_true", help="list all problems")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="one line for each kernel with problems"
    )
    parser.add_argument(
        "--hook", choices=("enable", "disable"), help="write or remove the hook for new kernels"
    )
    parser.add_argument(
        "--program", metavar="FILE", help="the kbtf that the hook runs (default: this one)"
    )


def run(args: argparse.Namespace) -> int:
    if args.program and args.hook != "enable":
        raise UsageError("--program is for --hook enable")
    if args.hook:
        _set_hook(args)
        return 0
    return _report(args)


def _set_hook(args: argparse.Namespace) -> None:
    from kbtf.kbuild import kernel_hook

    if args.hook == "disable":
        removed = kernel_hook.disable(args.root)
        say(*([f"removed {path}" for path in removed] or ["not enabled"]))
        return
    program = program_to_run(args.program, "the hook")
    say(f"wrote {kernel_hook.enable(args.root, program)}")
    if os.path.realpath(args.root) == "/":
        warn_if_exposed(program, "the hook")


def _report(args: argparse.Namespace) -> int:
    from kbtf.check.machine.boot import forecast
    from kbtf.check.machine.running import without_btf
    from kbtf.report import status

    root = args.root
    boots = [
        forecast(kernel, root=root, keep=not args.no_cache)
        for kernel in _chosen(root, args.kernels)
    ]
    is_here = os.path.realpath(root) == "/"
    running = os.uname().release if is_here else ""
    now = next((boot for boot in boots if boot.release == running), None)
    lost = without_btf(now) if is_here else None
    dkms = _dkms(root)
    if args.json:
        print_json({**status.document(boots, running, lost), "dkms": dkms})
    elif args.quiet:
        say_text(status.brief(boots))
    else:
        say_text(status.text(boots, running, lost or [], verbose=args.verbose))
        _print_dkms(dkms)
    return int(any(boot.is_bad for boot in boots))


def _dkms(root: str) -> dict[str, Any]:
    """Whether the drop-in for DKMS works, and which DKMS modules need a rebuild."""
    from kbtf.kbuild.dkms import status
    from kbtf.kbuild.dkms_builds import modules_without_btf

    found = status(root)
    owed = [row._asdict() for row in modules_without_btf(root)]
    return {"enabled": found.enabled, "problems": found.problems, "without_btf": owed}


def _print_dkms(dkms: dict[str, Any]) -> None:
    for problem in dkms["problems"]:
        print_warning(f"the drop-in for dkms does not work: {problem}")
    for row in dkms["without_btf"]:
        say(f"dkms: {row['module']}: no BTF: {row['reason']}", f"  {row['remedy']}")
    if dkms["without_btf"] and not dkms["enabled"]:
        say("  first 'kbtf dkms enable', or the next build has none either")


def _chosen(root: str, releases: list[str] | None) -> list[InstalledKernel]:
    from kbtf.check.machine.installed import installed_kernels

    found = {kernel.release: kernel for kernel in installed_kernels(root)}
    if not found:
        place = os.path.join(root, "lib/modules")
        raise KbtfError("no kernel with modules is installed here", file=place)
    for release in releases or ():
        if release not in found:
            known = ", ".join(found)
            raise KbtfError(f"kernel {release} is not installed", hint=f"installed are {known}")
    return [found[release] for release in releases or found]
