"""``kbtf undistill``: from a distilled base back to plain split BTF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli._common import for_each

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Turn modules with .BTF.base back into modules with plain split BTF on one kernel, for kernels that
cannot relocate.  The ids of .BTF_ids are rewritten; a module without .BTF.base is left alone."""
EXAMPLE = """\
  kbtf undistill --base /boot/vmlinuz-6.6.0 mymodule.ko"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("modules", nargs="+", metavar="MODULE")
    parser.add_argument(
        "--base", required=True, metavar="FILE", help="the vmlinux to relocate onto"
    )
    parser.add_argument("-o", dest="output", metavar="OUT", help="write there (one module)")
    parser.add_argument(
        "--strip-signature", action="store_true", help="take off a signature that gets invalid"
    )
    parser.add_argument("--no-cache", action="store_true", help="keep nothing that was unpacked")


def run(args: argparse.Namespace) -> int:
    from kbtf.elf.vmlinux import open_btf
    from kbtf.errors import UsageError
    from kbtf.host.undistill import undistill

    if args.output and len(args.modules) > 1:
        raise UsageError(
            f"-o is for one module, and there are {len(args.modules)}",
            hint="replace them, without -o",
        )
    target = open_btf(args.base, cache=not args.no_cache)

    def do(path: str) -> None:
        output = args.output or path
        print(f"{output}: {undistill(path, output, target, strip=args.strip_signature)}")

    return for_each(args.modules, do, debug=args.debug)
