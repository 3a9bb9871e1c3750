# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf dump``: print BTF as text, JSON or C."""

from __future__ import annotations

import os
import stat
import sys
from itertools import islice
from typing import TYPE_CHECKING

from kbtf.cli.common import base_from_environment, warn_of_unknown_kind
from kbtf.errors import BtfError, KbtfError, UsageError
from kbtf.say import visible, write_binary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf

DESCRIPTION = """\
Print BTF: as bpftool prints it, as C that compiles to the same sizes and offsets, or as JSON.

FILE is a module, a vmlinux, a compressed kernel or raw BTF. Split BTF needs its base, which is
searched for if --base does not name it.  A module with .BTF.base is printed on that base, or,
with --base, as the kernel sees it after relocation.

The C header of a module can be included alone, or after the vmlinux.h of its kernel.  It declares
the module's kfuncs and all kernel types that the module's types refer to."""
EXAMPLE = """\
  kbtf dump mymodule.ko
  kbtf dump --format c /boot/vmlinuz-6.12.0 > vmlinux.h
  kbtf dump --format c --base /boot/vmlinuz-6.12.0 mymodule.ko > mymodule.h"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a module, a kernel or raw BTF")
    parser.add_argument(
        "--base",
        metavar="BASE",
        help="the kernel's BTF that FILE refers to (default: $KBTF_BASE, else the one found for "
        "its release, if FILE cannot be read without)",
    )
    parser.add_argument(
        "--format",
        choices=("raw", "c", "json"),
        default="raw",
        help="bpftool's text (the default), a C header, or bpftool's JSON",
    )
    parser.add_argument(
        "--own-types",
        action="store_true",
        help="in C: leave out the kernel's types; the header then needs vmlinux.h before it",
    )
    parser.add_argument(
        "--weak",
        action="store_true",
        help="in C: declare kfuncs __weak, for programs that test whether they exist",
    )
    parser.add_argument("--no-cache", action="store_true", help="do not cache unpacked kernels")


def run(args: argparse.Namespace) -> int:
    from kbtf.errors import located

    btf = _read(args.file, args.base, cache=not args.no_cache)
    with located(args.file):
        pieces = _format(btf, args)
    # as bytes, because names are not in the user's locale
    while chunk := "".join(islice(pieces, 4096)):
        write_binary(chunk.encode("utf-8", "surrogateescape"))
    return 0


def _format(btf: Btf, args: argparse.Namespace) -> Iterator[str]:
    if args.format == "c":
        return iter((_header(btf, args),))
    if args.own_types or args.weak:
        raise UsageError("--own-types and --weak go with --format c")
    if args.format == "json":
        from kbtf.btf.dump.json import dump_json

        return dump_json(btf)
    from kbtf.btf.dump.raw import dump_raw

    return dump_raw(btf, str if _goes_to_file() else visible)


def _goes_to_file() -> bool:
    """Whether standard output is a file, to which names are written byte for byte."""
    try:
        return stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    except OSError:  # the caller of main() replaced it
        return False


def _header(btf: Btf, args: argparse.Namespace) -> str:
    from kbtf.btf.dump.c.header import Contents, dump_c

    if args.own_types and btf.base is None:
        raise UsageError("is not split BTF, so --own-types has no effect", file=args.file)
    warn_of_unknown_kind(btf, args.file, "the header has a comment about what it lacks")
    return dump_c(
        btf,
        Contents(
            name=os.path.basename(args.file).partition(".")[0],
            own_only=args.own_types,
            kfuncs=_kfuncs(args.file),
            weak=args.weak,
        ),
    )


def _kfuncs(path: str) -> set[str]:
    """The kfuncs that symbols of a module or vmlinux name; some may lack a tag in BTF."""
    from kbtf.bpf.kfuncs import kfunc_names
    from kbtf.cli.terminal.messages import print_warning
    from kbtf.elf.format import ELF_MAGIC
    from kbtf.elf.image import ElfImage
    from kbtf.elf.module import Module
    from kbtf.errors import BtfIdsError, ElfError, located
    from kbtf.files.formats import MODULE_KINDS, recognise
    from kbtf.files.source import Source

    try:
        with Source(path) as source, located(path):
            if source.data[:4] == ELF_MAGIC:
                return kfunc_names(ElfImage(source.data))
            if recognise(source.data) in MODULE_KINDS:
                return kfunc_names(Module(source.data, path).image)
    except BtfIdsError as error:
        print_warning(f"{error}; kfuncs without the tag bpf_kfunc are left out")
    except ElfError:
        pass  # a compressed kernel or raw BTF
    return set()


def _read(path: str, base_path: str | None, *, cache: bool) -> Btf:
    from kbtf.errors import located
    from kbtf.kernel.base import open_base, open_btf

    base = open_base(base_path, cache=cache).btf if base_path is not None else None
    try:
        btf = open_btf(path, base, cache=cache)
    except BtfError:
        if base_path is not None:
            raise
        named = base_from_environment()
        base = open_base(named, cache=cache).btf if named else _base_of_module(path, cache)
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
    """The base of the kernel that a module's vermagic names; None if it is not a module."""
    from kbtf.elf.module import Module
    from kbtf.kernel.find import find_base

    try:
        release = Module.open(path).release
    except KbtfError:
        return None
    return find_base(release, cache=cache).btf if release is not None else None


def _warn_unless_it_fits(btf: Btf, path: str) -> None:
    from kbtf.cli.terminal.messages import print_warning

    try:
        btf.check_fit()
    except BtfError as error:
        print_warning(f"{path}: was made for another base, so this output may be wrong")
        print_warning(f"{path}: {error}")
