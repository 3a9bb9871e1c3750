# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf relocate``: relocate distilled BTF in raw files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Relocate distilled BTF: turn split BTF on its small base into split BTF on a vmlinux, as the
kernel does when it loads the module.  The output is byte-identical to that of libbpf's
btf__relocate()."""
EXAMPLE = """\
  kbtf relocate /boot/vmlinuz-6.12.0 module.base module.split relocated.btf"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="NEWBASE", help="vmlinux to relocate onto")
    parser.add_argument("base", metavar="IN_BASE", help="the distilled base (.BTF.base)")
    parser.add_argument("split", metavar="IN_SPLIT", help="the split BTF on it (.BTF)")
    parser.add_argument("output", metavar="OUT", help="write the split BTF on NEWBASE there")


def run(args: argparse.Namespace) -> int:
    from kbtf.btf.relocate import relocate
    from kbtf.cli.common import write_file
    from kbtf.errors import located
    from kbtf.files.paths import require_distinct
    from kbtf.kernel.base import open_base, open_btf

    require_distinct([args.output], [args.target, args.base, args.split])
    split = open_btf(args.split, open_btf(args.base))
    target = open_base(args.target).btf
    with located(args.split):
        result = relocate(split, target)
    write_file(args.output, result.to_bytes())
    return 0
