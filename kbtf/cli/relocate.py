"""``kbtf relocate``: distilled BTF in files of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Relocate distilled BTF: split BTF on its small base becomes split BTF on a vmlinux, as the kernel
makes it when it loads the module.  The result is that of libbpf's btf__relocate(), byte for
byte."""
EXAMPLE = """\
  kbtf relocate /boot/vmlinuz-6.12.0 module.base module.split relocated.btf"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="NEWBASE", help="vmlinux to relocate onto")
    parser.add_argument("base", metavar="IN_BASE", help="the distilled base (.BTF.base)")
    parser.add_argument("split", metavar="IN_SPLIT", help="the split BTF on it (.BTF)")
    parser.add_argument("output", metavar="OUT")


def run(args: argparse.Namespace) -> int:
    from kbtf.btf.relocate import relocate
    from kbtf.elf.module import located
    from kbtf.elf.vmlinux import open_btf
    from kbtf.elf.write import replace_file

    split = open_btf(args.split, open_btf(args.base))
    target = open_btf(args.target)
    with located(args.split):
        result = relocate(split, target)
    replace_file(args.output, result.to_bytes())
    return 0
