"""``kbtf dump``: BTF for people and compilers to read."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING

from kbtf.errors import BtfError, KbtfError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf

DESCRIPTION = """\
Print BTF: as bpftool prints it, as C that compiles to the same sizes and offsets, or as JSON.

FILE is a module, a vmlinux, a compressed kernel or raw BTF.  Split BTF needs its base; a module's
is looked for if --base does not name it.  A module that has .BTF.base is read on that, or with
--base as the kernel would see it after relocation."""
EXAMPLE = """\
  kbtf dump mymodule.ko
  kbtf dump --format c /boot/vmlinuz-6.12.0 > vmlinux.h"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--base", metavar="BASE", help="the kernel's BTF that FILE stands on")
    parser.add_argument(
        "--format",
        choices=("raw", "c", "json"),
        default="raw",
        help="bpftool's text (the default), a C header, or bpftool's JSON",
    )
    parser.add_argument("--no-cache", action="store_true", help="keep nothing that was unpacked")


def run(args: argparse.Namespace) -> int:
    from kbtf.elf.module import located

    btf = _read(args.file, args.base, cache=not args.no_cache)
    with located(args.file):
        pieces = _format(btf, args.format)
    out = sys.stdout.buffer
    # names leave as the bytes that they are, whatever the locale
    while chunk := "".join(islice(pieces, 4096)):
        out.write(chunk.encode("utf-8", "surrogateescape"))
    return 0


def _format(btf: Btf, form: str) -> Iterator[str]:
    if form == "c":
        from kbtf.btf.dump_c import dump_c

        return iter((dump_c(btf),))
    if form == "json":
        from kbtf.btf.dump_json import dump_json

        return dump_json(btf)
    from kbtf.btf.dump_raw import dump_raw

    return dump_raw(btf)


def _read(path: str, base_path: str | None, *, cache: bool) -> Btf:
    from kbtf.elf.module import located
    from kbtf.elf.vmlinux import open_base, open_btf

    base = open_base(base_path, cache=cache).btf if base_path is not None else None
    try:
        btf = open_btf(path, base, cache=cache)
    except BtfError:
        base = None if base is not None else _base_of_module(path, cache)
        if base is None:
            raise
        btf = open_btf(path, base, cache=cache)
    if base is None or btf.base is None:
        return btf
    with located(path):
        if btf.base is not base:
            from kbtf.btf.relocate import relocate

            return relocate(btf, base)
        _warn_unless_it_fits(btf, path)
    return btf


def _base_of_module(path: str, cache: bool) -> Btf | None:
    """The base of the kernel that a module says it is for; None if it is no module."""
    from kbtf.elf.find import find_base
    from kbtf.elf.module import Module

    try:
        release = Module.open(path).release
    except KbtfError:
        return None
    return find_base(release, cache=cache).btf if release is not None else None


def _warn_unless_it_fits(btf: Btf, path: str) -> None:
    from kbtf.btf._native import check_fit
    from kbtf.cli import print_warning

    try:
        check_fit(btf.index)
    except BtfError as error:
        print_warning(f"{path}: was made for another base, what is printed is not to be trusted")
        print_warning(f"{path}: {error}")
