"""``kbtf distill``: split BTF in files of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Distil split BTF: write a small base with the types that it refers to, and the split on that base.

The results are those of libbpf's btf__distill_base(), byte for byte, with 24-byte headers."""
EXAMPLE = """\
  kbtf distill /boot/vmlinuz-6.12.0 module.btf module.base module.split"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", metavar="BASE", help="vmlinux: ELF, compressed kernel or raw BTF")
    parser.add_argument("split", metavar="SPLIT", help="raw split BTF, or a module that has .BTF")
    parser.add_argument("out_base", metavar="OUT_BASE")
    parser.add_argument("out_split", metavar="OUT_SPLIT")


def run(args: argparse.Namespace) -> int:
    from kbtf.btf.distill import distill
    from kbtf.elf.module import located
    from kbtf.elf.vmlinux import open_btf
    from kbtf.elf.write import replace_file

    split = open_btf(args.split, open_btf(args.base))
    with located(args.split):
        result = distill(split)
    replace_file(args.out_base, result.base.to_bytes())
    replace_file(args.out_split, result.split.to_bytes())
    return 0
