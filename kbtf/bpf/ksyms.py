"""A BPF object linked against a kernel and its modules, and what is to be said about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.bpf.externs import KSYMS
from kbtf.bpf.insns import Written, write
from kbtf.bpf.kernel import VMLINUX
from kbtf.bpf.limits import Limit, limits
from kbtf.bpf.programs import Program, read_programs
from kbtf.bpf.resolve import Loader, Resolution, Status, resolve
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.bpf.kernel import Target
    from kbtf.bpf.object import BpfObject


class Linking(NamedTuple):
    """What a loader makes of a BPF object on a kernel."""

    loader: Loader
    resolutions: tuple[Resolution, ...]
    programs: tuple[Program, ...]
    written: dict[int, list[Written]]
    """What stands in the instructions, by `Resolution.number`."""
    limits: list[Limit]
    warnings: list[str]

    def is_refused(self, found: Resolution) -> bool:
        """The loader or the verifier stops at this extern, in whatever program calls it."""
        is_called = any(row.is_call for row in self.written[found.number])
        resolved = found.status is Status.RESOLVED
        not_a_kfunc = is_called and resolved and found.is_kfunc is False
        return found.status is Status.FAILED or not_a_kfunc

    @property
    def is_refused_somewhere(self) -> bool:
        """The object, or one of its programs, does not load."""
        return any(limit.is_exceeded for limit in self.limits) or any(
            self.is_refused(found) for found in self.resolutions
        )


def link(bpf: BpfObject, target: Target, loader: Loader) -> Linking:
    """Link *bpf* as *loader* does on *target*; nothing of either is changed.

    ElfError or BtfError where the loader would not open the object.
    """
    programs = read_programs(bpf)
    found = resolve(bpf, target, loader)
    written = write(programs, found, loader)
    return Linking(
        loader,
        found,
        programs,
        written,
        limits(programs, found, loader),
        list(_warnings(bpf, target, found, loader)),
    )


def _warnings(
    bpf: BpfObject, target: Target, found: tuple[Resolution, ...], loader: Loader
) -> Iterator[str]:
    if bpf.byte_order != target.vmlinux.btf.byte_order:
        yield f"the object is {bpf.byte_order}-endian, the kernel is not: it takes no such program"
    for name, why in target.refused.items():
        yield f"module {name}: this kernel has none of its BTF: {why}"
    for module in target.modules:
        if not module.sets.is_resolved:
            yield f"module {module.name}: .BTF_ids is not resolved, its kfunc sets are empty"
    values = sum(extern.section != KSYMS for extern in bpf.externs)
    if values:
        yield f"not looked at: values of the kernel's configuration (.kconfig), {values}"
    for one in found:
        yield from _warnings_of(one, loader)


def _warnings_of(found: Resolution, loader: Loader) -> Iterator[str]:
    name = found.extern.name
    if found.status is Status.TYPELESS:
        yield f"{name} has no type: its address comes from kallsyms and cannot be told offline"
    if found.status is not Status.RESOLVED or found.found_in is None:
        return
    if found.is_kfunc is False:
        yield f"{name} is in no kfunc set of {found.found_in.name}: the verifier refuses its calls"
    if loader is Loader.LIGHT and found.difference:
        yield f"{name}: {found.difference}; light skeletons do not compare prototypes"
    if found.also_in and found.found_in.name != VMLINUX:
        # kernel/bpf/verifier.c: add_kfunc_call(); kallsyms has the module loaded last first
        yield (
            f"{name} is in {found.found_in.name} and {' and '.join(found.also_in)}: the kernel "
            f"takes types and flags from the first, but looks up the address by name alone and "
            f"calls that of {found.also_in[-1]}"
        )
    elif found.also_in:
        yield f"{name} of {' and '.join(found.also_in)} is hidden by that of {VMLINUX}"
