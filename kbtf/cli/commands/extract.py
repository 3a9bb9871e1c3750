# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf extract``: write one section of a module to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli.common import add_output, write_bytes

if TYPE_CHECKING:
    import argparse

DESCRIPTION = "Write the contents of one section of a module, compressed or not, to a file."
EXAMPLE = """\
  kbtf extract mymodule.ko.xz .BTF.base -o mymodule.base"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("module", metavar="MODULE", help="a .ko[.gz|.xz|.zst], or another ELF file")
    parser.add_argument("section", metavar="SECTION", help="for instance .BTF")
    add_output(parser, "the section")


def run(args: argparse.Namespace) -> int:
    from kbtf.elf.files import read_unpacked
    from kbtf.elf.image import ElfImage
    from kbtf.errors import ElfError, located
    from kbtf.files.paths import require_distinct

    require_distinct([args.output], [args.module])
    with located(args.module):
        data = ElfImage(read_unpacked(args.module)).data(args.section)
        if data is None:
            raise ElfError(f"has no section {args.section}")
    write_bytes(data, args.output)
    return 0
