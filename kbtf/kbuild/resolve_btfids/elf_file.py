# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The ELF file whose ids are resolved, with the messages of resolve_btfids about it."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from kbtf.elf.format import SHT_SYMTAB
from kbtf.elf.image import ElfImage
from kbtf.errors import BtfIdsError, ElfError
from kbtf.ids.btf_ids import SECTION, read_ids
from kbtf.ids.resolve import ids_mismatch, resolve_ids
from kbtf.kbuild.console import Failure
from kbtf.kbuild.resolve_btfids.input import load_split
from kbtf.say import complain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.btf.btf import Btf
    from kbtf.ids.btf_ids import BtfIds
    from kbtf.ids.resolve import Resolution
    from kbtf.kbuild.resolve_btfids.options import Options

PROGRAM = "kbtf-resolve-btfids"


def read_elf(path: str) -> mmap.mmap | bytes:
    """The contents of a file, which must be writable, as the original requires.

    They are mapped: a vmlinux with DWARF has hundreds of megabytes.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Failure(f"FAILED cannot open {path}: {error.strerror}") from error
    with open(fd, "rb"):
        if not os.fstat(fd).st_size:
            return b""
        return mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)


def open_image(data: mmap.mmap | bytes, options: Options) -> ElfImage:
    """The ELF file; Failure if it is not one."""
    try:
        image = ElfImage(data)
    except ElfError as error:
        words = f"{PROGRAM}: {options.elf}: {error}"
        raise Failure("FAILED cannot get shdr str ndx", words) from error
    if options.verbose > 1:
        for s in image.sections[1:]:
            complain(
                f"section({s.number}) {s.name}, size {s.size}, link {s.link}, "
                f"flags {s.flags:x}, type={s.type}"
            )
    return image


def has_ids(image: ElfImage) -> bool:
    """Whether there is anything to resolve."""
    has_symbols = any(s.type == SHT_SYMTAB for s in image.sections)
    return has_symbols and image.section(SECTION) is not None


def collect(image: ElfImage, options: Options, longest: int | None = None) -> BtfIds | None:
    """The ids that the symbols describe; Failure in the original's words.

    *longest* is the most bytes in a name, including its suffix.
    """
    if options.verbose:
        from kbtf.kbuild.resolve_btfids.messages import symbols_added

        for line in symbols_added(image, longest):
            complain(line)
    if longest is not None:
        from kbtf.kbuild.resolve_btfids.messages import long_name

        if (name := long_name(image, longest)) is not None:
            raise Failure(f"FAILED to parse symbol name: {name}")
    try:
        ids = read_ids(image)
    except (BtfIdsError, ElfError) as error:
        from kbtf.kbuild.resolve_btfids.messages import collect_failure, patch_failure

        cause = f"{PROGRAM}: {options.elf}: {error}"
        words = collect_failure(image)
        if words is not None:
            raise Failure(*words, cause) from error
        # The original detects this last, after all other warnings.
        named = None if image.section(".BTF.base") else options.values.get("btf_base")
        btf = load_split(options.values.get("btf") or options.elf, named)
        raise Failure(*patch_failure(image, btf), cause) from error
    for oddity in ids.oddities if ids else ():
        complain(f"{PROGRAM}: warning: {options.elf}: {SECTION}: {oddity}")
    return ids


def resolve(ids: BtfIds, btf: Btf, image: ElfImage, options: Options) -> Resolution:
    """Fill in the ids, and print the original's messages."""
    resolution = resolve_ids(ids, btf)
    lines: Iterable[str] = ()
    if options.verbose:
        from kbtf.kbuild.resolve_btfids.messages import patching

        lines = patching(image, btf, resolution)
    elif resolution.warnings:
        from kbtf.kbuild.resolve_btfids.messages import worded

        lines = map(worded, resolution.warnings)
    for line in lines:
        complain(line)
    return resolution


def was_resolved(ids: BtfIds) -> bool:
    """Whether an earlier run filled in ids; empty sets do not show it, and need nothing."""
    return bool(ids.id_words) and ids.is_resolved


def leave_resolved(ids: BtfIds, btf: Btf, path: str) -> int:
    """Leave the file unchanged; Failure if the ids are not those of *btf*."""
    why = ids_mismatch(ids, btf)
    if why:
        raise Failure(
            f"FAILED: {path}: .BTF_ids: is resolved already, but not against this BTF: {why}; "
            "link the file anew"
        )
    complain(f"{PROGRAM}: {path}: .BTF_ids is already resolved; nothing changes")
    return 0
