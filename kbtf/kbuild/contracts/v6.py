# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The contract through Linux 6.19: ``resolve_btfids -b vmlinux M.ko``, after pahole.

``.BTF_ids`` is filled in place (scripts/Makefile.modfinal, link-vmlinux.sh).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kbtf.files.replace import replace_and_warn
from kbtf.ids.btf_ids import SECTION
from kbtf.kbuild.contracts.contract import Contract
from kbtf.kbuild.resolve_btfids.elf_file import (
    PROGRAM,
    collect,
    has_ids,
    leave_resolved,
    open_image,
    read_elf,
    resolve,
    was_resolved,
)
from kbtf.kbuild.resolve_btfids.input import load_split
from kbtf.say import complain

if TYPE_CHECKING:
    from kbtf.elf.image import ElfImage
    from kbtf.kbuild.resolve_btfids.options import Options

_SHF_COMPRESSED = 1 << 11


def resolve_in_place(options: Options) -> int:
    """Fill ``.BTF_ids`` of the file; the exit code."""
    data = read_elf(options.elf)
    image = open_image(data, options)
    if not has_ids(image):
        if options.verbose:
            complain("Cannot find .BTF_ids or symbols sections, nothing to do")
        return 0
    ids = collect(image, options)
    # A distilled base in the file overrides -b: the kernel relocates the ids together with it.
    named = None if image.section(".BTF.base") else options.values.get("btf_base")
    btf = load_split(options.values.get("btf") or options.elf, named)
    if ids is None:
        if options.verbose:
            complain(f"update ok for {options.elf}")
        return 0
    if was_resolved(ids):
        return leave_resolved(ids, btf, options.elf)
    resolution = resolve(ids, btf, image, options)
    if resolution.warnings and "fatal_warnings" in options.flags:
        return 255
    image.set_section(SECTION, resolution.ids.to_bytes())
    data = _with_aligned_sections(image.to_bytes(), image)
    replace_and_warn(options.elf, data, program=PROGRAM)
    if options.verbose:
        complain(f"update ok for {options.elf}")
    return 0


def _with_aligned_sections(out: bytes, image: ElfImage) -> bytes:
    """Give compressed sections the alignment that libelf requires.

    resolve_btfids does so through 6.19, because ld sets it to 1.
    """
    field, wanted = ("Q", 8) if image.bits == 64 else ("I", 4)
    wrong = [s for s in image.sections if s.flags & _SHF_COMPRESSED and s.align != wanted]
    if not wrong:
        return out
    order = ">" if image.byte_order == "big" else "<"
    at, entry, shoff = (48, 64, 40) if image.bits == 64 else (32, 40, 32)
    (start,) = struct.unpack_from(order + field, out, shoff)
    patched = bytearray(out)
    for s in wrong:
        struct.pack_into(order + field, patched, start + s.number * entry + at, wanted)
    return bytes(patched)


V6 = Contract("6", "through 6.19", is_shown_by=lambda options: False, resolve=resolve_in_place)
