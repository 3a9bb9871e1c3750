# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf distill``: distill split BTF in raw files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Distill split BTF into a small base, with the types it refers to, and split BTF on that base.

The output is byte-identical to that of libbpf's btf__distill_base(), with 24-byte headers."""
EXAMPLE = """\
  kbtf distill /boot/vmlinuz-6.12.0 module.btf module.base module.split"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", metavar="BASE", help="vmlinux: ELF, compressed kernel or raw BTF")
    parser.add_argument("split", metavar="SPLIT", help="raw split BTF, or a module that has .BTF")
    parser.add_argument("out_base", metavar="OUT_BASE", help="write the distilled base there")
    parser.add_argument("out_split", metavar="OUT_SPLIT", help="write the split BTF there")


def run(args: argparse.Namespace) -> int:
    from kbtf.btf.distill import distill
    from kbtf.cli.common import write_file
    from kbtf.errors import located
    from kbtf.files.paths import require_distinct
    from kbtf.kernel.base import open_base, open_btf

    require_distinct([args.out_base, args.out_split], [args.base, args.split])
    split = open_btf(args.split, open_base(args.base).btf)
    with located(args.split):
        result = distill(split)
    write_file(args.out_base, result.base.to_bytes())
    write_file(args.out_split, result.split.to_bytes())
    return 0
