# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The values that a loader writes into instructions that use externs.

Source: tools/lib/bpf/libbpf.c (bpf_object__relocate_data, poison_kfunc_call),
tools/lib/bpf/gen_loader.c (emit_relo_kfunc_btf, emit_relo_ksym_btf, cleanup_relos).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.bpf.kernel import VMLINUX
from kbtf.bpf.resolve import Loader, Resolution, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.bpf.programs import Program, Use

POISON = 2002000000
"""libbpf turns an unresolved weak call into a call of a helper with this number or a higher one."""
FIRST_SLOT = 64
"""In a light skeleton's array of file descriptors, maps come first."""
_SLOTS = 256
_PSEUDO_KFUNC_CALL = 2
_PSEUDO_BTF_ID = 3


class Written(NamedTuple):
    """The fields of an instruction as the loader writes them."""

    program: str
    insn: int
    """Its number in the program as it is loaded."""
    is_call: bool
    src_reg: int
    imm: int
    off: int | None
    """Of a call: the index of its module's BTF, 0 for vmlinux.  None if it depends on the size of
    other data of the loader."""
    next_imm: int | None
    """Of an address: the file descriptor of its module's BTF, 0 for vmlinux.  None of a call, and
    if the kernel assigns the number at run time."""
    slot: int | None = None
    """Of a call: the index of its name in the array of file descriptors, if any."""


def write(
    programs: Iterable[Program], resolutions: Iterable[Resolution], loader: Loader
) -> dict[int, list[Written]]:
    """The fields that *loader* writes, by the number of the extern; failed externs have none."""
    by_number = {resolution.number: resolution for resolution in resolutions}
    written: dict[int, list[Written]] = {number: [] for number in by_number}
    for program in programs:
        slots: dict[str, int] = {}
        for use in program.uses:
            found = by_number.get(use.extern)
            if found is None or found.status in (Status.FAILED, Status.TYPELESS):
                continue
            if not use.is_call:
                row = _address(program, use, found)
            elif loader is Loader.LIBBPF:
                row = _libbpf_call(program, use, found)
            else:
                slot = slots.setdefault(found.name, len(slots))
                row = _light_call(program, use, found, slot)
            written[use.extern].append(row)
    return written


def _address(program: Program, use: Use, found: Resolution) -> Written:
    if found.status is Status.MISSING or found.found_in is None:
        return Written(program.name, use.insn, False, 0, 0, 0, 0)
    fd = 0 if found.found_in.name == VMLINUX else None
    return Written(program.name, use.insn, False, _PSEUDO_BTF_ID, found.type_id, 0, fd)


def _libbpf_call(program: Program, use: Use, found: Resolution) -> Written:
    if found.status is Status.MISSING:
        return Written(program.name, use.insn, True, 0, POISON + found.number, 0, None)
    index = found.fd_index
    return Written(
        program.name, use.insn, True, _PSEUDO_KFUNC_CALL, found.type_id, index, None, index or None
    )


def _light_call(program: Program, use: Use, found: Resolution, slot: int) -> Written:
    """Each name takes a slot, whether vmlinux, a module or nothing has it."""
    index = FIRST_SLOT + slot if slot < _SLOTS else None
    in_module = found.found_in is not None and found.found_in.name != VMLINUX
    off = index if in_module else 0
    return Written(
        program.name, use.insn, True, _PSEUDO_KFUNC_CALL, found.type_id, off, None, index
    )
