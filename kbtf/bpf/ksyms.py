# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Link a BPF object against a kernel and its modules, and report findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.bpf.externs import KSYMS
from kbtf.bpf.insns import Written, write
from kbtf.bpf.kernel import VMLINUX
from kbtf.bpf.limits import Limit, limits
from kbtf.bpf.programs import Program, read_programs
from kbtf.bpf.resolve import Loader, Resolution, Status, resolve
from kbtf.bpf.untested import Untested, untested_calls
from kbtf.btf.kinds import Kind
from kbtf.findings.finding import Severity
from kbtf.findings.linking import LINKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.bpf.kernel import Target
    from kbtf.bpf.object import BpfObject
    from kbtf.findings.finding import Finding


class Linking(NamedTuple):
    """The result of a loader for a BPF object on a kernel."""

    loader: Loader
    resolutions: tuple[Resolution, ...]
    programs: tuple[Program, ...]
    written: dict[int, list[Written]]
    """The fields of the instructions, by `Resolution.number`."""
    limits: list[Limit]
    findings: list[Finding]
    untested: tuple[Untested, ...] = ()
    """Calls of missing kfuncs that no test guards."""
    is_strict: bool = False
    """A test of a constant does not count."""

    def is_refused(self, found: Resolution) -> bool:
        """The loader or the verifier fails at this extern, whichever program calls it."""
        is_called = any(row.is_call for row in self.written[found.number])
        resolved = found.status is Status.RESOLVED
        not_a_kfunc = is_called and resolved and found.is_kfunc is False
        untested = any(
            one.extern == found.number and (self.is_strict or not one.maybe_constant)
            for one in self.untested
        )
        return found.status is Status.FAILED or not_a_kfunc or untested

    @property
    def is_refused_somewhere(self) -> bool:
        """The object, or one of its programs, does not load."""
        return (
            any(limit.is_exceeded for limit in self.limits)
            or any(self.is_refused(found) for found in self.resolutions)
            or any(finding.severity is Severity.ERROR for finding in self.findings)
        )


def link(bpf: BpfObject, target: Target, loader: Loader, *, strict: bool = False) -> Linking:
    """Link *bpf* as *loader* does on *target*; neither is changed.

    With *strict*, each call of a missing kfunc must be guarded by a test of its own address.
    ElfError or BtfError if the loader would not open the object.
    """
    programs = read_programs(bpf)
    found = resolve(bpf, target, loader)
    written = write(programs, found, loader)
    untested = tuple(untested_calls(programs, found))
    return Linking(
        loader,
        found,
        programs,
        written,
        limits(programs, found, loader),
        [*_findings(bpf, target, found, loader), *_untested(untested, found)],
        untested,
        strict,
    )


def _untested(untested: tuple[Untested, ...], found: tuple[Resolution, ...]) -> Iterator[Finding]:
    names = {one.number: one.extern.name for one in found}
    for one in untested:
        case = "maybe_constant" if one.maybe_constant else "refused"
        yield LINKING.finding("untested", case, type=names[one.extern], program=one.program)


def _findings(
    bpf: BpfObject, target: Target, found: tuple[Resolution, ...], loader: Loader
) -> Iterator[Finding]:
    if bpf.byte_order != target.vmlinux.btf.byte_order:
        yield LINKING.finding("byte-order", order=bpf.byte_order)
    for name, why in target.refused.items():
        yield LINKING.finding("module-refused", type=name, why=why)
    for module in target.modules:
        if not module.sets.is_resolved:
            yield LINKING.finding("ids-unresolved", type=module.name)
        if not module.sets.is_known:
            yield LINKING.finding("raw-btf", type=module.name)
    values = sum(extern.section != KSYMS for extern in bpf.externs)
    if values:
        yield LINKING.finding("kconfig", number=values)
    for one in found:
        yield from _findings_of(one, loader)


def _findings_of(found: Resolution, loader: Loader) -> Iterator[Finding]:
    name = found.extern.name
    if found.status is Status.TYPELESS:
        yield LINKING.finding("typeless", type=name)
    if found.status is not Status.RESOLVED or found.found_in is None:
        return
    provider = found.found_in.name
    if found.is_kfunc is False:
        yield LINKING.finding("no-kfunc", type=name, provider=provider)
    if loader is Loader.LIGHT and found.difference:
        yield LINKING.finding("prototype", type=name, difference=found.difference)
    if not found.also_in:
        return
    others = {"first": provider, "others": " and ".join(found.also_in)}
    if provider == VMLINUX:
        yield LINKING.finding("name-shared", "hidden", type=name, **others)
    else:
        # kernel/bpf/verifier.c: check_pseudo_btf_id(), and add_kfunc_call(), where kallsyms has the
        # module that was loaded last first
        case = "variable" if found.extern.kind is Kind.VAR else "function"
        yield LINKING.finding("name-shared", case, type=name, last=found.also_in[-1], **others)
