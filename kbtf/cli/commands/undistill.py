# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf undistill``: turn BTF on a distilled base back into plain split BTF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli.common import add_base, for_each
from kbtf.say import say

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Turn distilled BTF back into plain split BTF for one kernel, for use on a kernel that cannot
relocate BTF.  The ids in .BTF_ids are rewritten; a module without .BTF.base is left unchanged."""
EXAMPLE = """\
  kbtf undistill --base /boot/vmlinuz-6.6.0 mymodule.ko"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "modules", nargs="+", metavar="MODULE", help="a linked .ko[.gz|.xz|.zst], changed in place"
    )
    add_base(parser, "the vmlinux to relocate onto (default: $KBTF_BASE)", required=True)
    parser.add_argument("-o", dest="output", metavar="OUT", help="write to OUT (one module)")
    parser.add_argument(
        "--strip-signature",
        action="store_true",
        help="remove a signature, which any change makes invalid",
    )
    parser.add_argument("--no-cache", action="store_true", help="do not cache unpacked kernels")


def run(args: argparse.Namespace) -> int:
    from kbtf.errors import UsageError
    from kbtf.files.paths import require_distinct
    from kbtf.kernel.base import open_btf
    from kbtf.run.undistill import undistill

    if args.output and len(args.modules) > 1:
        raise UsageError(
            f"-o takes one module, not {len(args.modules)}", hint="omit it to replace the modules"
        )
    require_distinct([args.output], [args.base])
    target = open_btf(args.base, cache=not args.no_cache)

    def do(path: str) -> None:
        output = args.output or path
        say(f"{output}: {undistill(path, output, target, strip=args.strip_signature)}")

    return for_each(args.modules, do, debug=args.debug)
