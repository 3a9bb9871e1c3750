"""``kbtf base``: find the BTF of a kernel."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kbtf.cli._common import add_output
from kbtf.errors import UsageError

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Find the BTF of a kernel and show where it is, for which release, how many types it has, its size
and checksum; with -o, extract it.  PATH is a vmlinux, a compressed kernel or raw BTF; without one,
the kernel is looked for as a run looks for a module's base (default: the running release)."""
EXAMPLE = """\
  kbtf base
  kbtf base --release 6.12.0 -o vmlinux.btf
  kbtf base /boot/vmlinuz-6.12.0"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", metavar="PATH")
    parser.add_argument("--release", metavar="R", help="the kernel release to look for")
    parser.add_argument("-C", dest="kdir", metavar="DIR", help="kernel build directory, first")
    parser.add_argument("--no-cache", action="store_true", help="keep nothing that was unpacked")
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    add_output(parser, "the raw BTF")


def run(args: argparse.Namespace) -> int:
    import hashlib

    from kbtf.elf.find import find_base
    from kbtf.elf.vmlinux import open_base
    from kbtf.elf.write import replace_file

    if args.path and (args.release or args.kdir):
        raise UsageError("PATH names a file, --release and -C a kernel to look for: use one")
    if args.path:
        base = open_base(args.path, cache=not args.no_cache)
    else:
        release = args.release or os.uname().release
        base = find_base(release, kdir=args.kdir, cache=not args.no_cache)
    data = base.btf.to_bytes()
    facts = {
        "source": base.source,
        "release": base.release,
        "types": len(base.btf),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    if args.output:
        replace_file(args.output, data)
    if args.json:
        import json

        json.dump(facts, sys.stdout, indent=2)
        print()
    else:
        for key, value in facts.items():
            print(f"{key:8}{'unknown' if value is None else value}")
    return 0
