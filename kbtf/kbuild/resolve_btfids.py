"""``kbtf-resolve-btfids``: what Kbuild takes for ``$(RESOLVE_BTFIDS)``, in both of its contracts.

Through 6.19 it is called as ``resolve_btfids -b vmlinux M.ko``, after pahole, and fills
``.BTF_ids`` in place (scripts/Makefile.modfinal, link-vmlinux.sh).  From 7.0 on
scripts/gen-btf.sh calls it with ``--btf M.ko.BTF.1`` for files beside the module, and with
``--patch_btfids``; that is in contract7.py.  What it says, and its exit codes, are those of
tools/bpf/resolve_btfids.  On ids that are resolved already nothing is changed: resolving them
again, as the original does, would move the flags of a set to other kfuncs.
"""

from __future__ import annotations

import os
import struct

from kbtf.btf_ids import SECTION
from kbtf.elf.write import replace_file
from kbtf.kbuild.console import guarded, say
from kbtf.kbuild.id_file import (
    PROGRAM,
    collect,
    has_ids,
    leave_resolved,
    open_image,
    read_elf,
    resolve,
    was_resolved,
)
from kbtf.kbuild.load import load_split
from kbtf.kbuild.resolve_options import parse

TYPE_CHECKING = False  # importing typing would cost a build more than the work
if TYPE_CHECKING:
    from kbtf.elf.image import ElfImage
    from kbtf.kbuild.resolve_options import Options

_SHF_COMPRESSED = 1 << 11


def main(argv: list[str] | None = None) -> int:
    """Run ``kbtf-resolve-btfids`` with the arguments *argv*, those of the process by default."""
    return guarded(PROGRAM, _run, argv)


def _run(args: list[str]) -> int:
    options = parse(args)
    if _is_contract_7(options):
        from kbtf.kbuild import contract7

        if "patch_btfids" in options.values:
            return contract7.patch(options)
        return contract7.run(options)
    return _resolve_in_place(options)


def _is_contract_7(options: Options) -> bool:
    """Whether files are to be written beside the module instead of the module.

    The option ``--btf`` alone does not tell: it is in both.  ``$KBTF_CONTRACT`` decides where the
    options leave it open.
    """
    if "patch_btfids" in options.values or "distill_base" in options.flags:
        return True
    chosen = os.environ.get("KBTF_CONTRACT")
    if chosen in ("6", "7"):
        return chosen == "7"
    return (
        "fmodret_error_injection" in options.flags
        or options.values.get("btf") == f"{options.elf}.BTF.1"
    )


def _resolve_in_place(options: Options) -> int:
    data = read_elf(options.elf)
    image = open_image(data, options)
    if not has_ids(image):
        if options.verbose:
            say("Cannot find .BTF_ids or symbols sections, nothing to do")
        return 0
    ids = collect(image, options)
    # A distilled base in the file overrides -b: the kernel relocates the ids together with it.
    named = None if image.section(".BTF.base") else options.values.get("btf_base")
    btf = load_split(options.values.get("btf") or options.elf, named)
    if ids is None:
        if options.verbose:
            say(f"update ok for {options.elf}")
        return 0
    if was_resolved(ids):
        return leave_resolved(ids, btf, options.elf)
    resolution = resolve(ids, btf, image, options)
    if resolution.warnings and "fatal_warnings" in options.flags:
        return 255
    image.set_section(SECTION, resolution.ids.to_bytes())
    replace_file(options.elf, _with_aligned_sections(image.to_bytes(), image))
    if options.verbose:
        say(f"update ok for {options.elf}")
    return 0


def _with_aligned_sections(out: bytes, image: ElfImage) -> bytes:
    """Give compressed sections the alignment that libelf wants.

    resolve_btfids does so through 6.19, for ld sets it to 1.
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
