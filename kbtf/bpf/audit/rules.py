# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The rules for kfuncs that can be checked without loading the module.

A finding is an error if the kernel refuses to register the set or rejects every call of the kfunc.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.bpf.audit.args import audit_args, audit_result
from kbtf.bpf.audit.flags import audit_flags, audit_iterator
from kbtf.bpf.audit.hooks import audit_hooks
from kbtf.bpf.audit.lists import audit_dtors, audit_plain
from kbtf.bpf.audit.names import audit_names
from kbtf.bpf.audit.sets import audit_set8
from kbtf.bpf.audit.verifier import verifier_of
from kbtf.bpf.kfuncs import GroupKind
from kbtf.btf.kinds import KFUNC_TAG, Kind
from kbtf.findings.kfuncs import KFUNCS
from kbtf.ids.btf_ids import REGISTER_KFUNCS, REGISTRATIONS
from kbtf.ids.kfunc_flags import IMPLICIT_ARGS, spell_flags
from kbtf.say import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kbtf.bpf.audit.verifier import Verifier
    from kbtf.bpf.kfuncs import Group, Kfuncs
    from kbtf.btf.btf import Btf, BtfType
    from kbtf.findings.finding import Finding


def audit(
    kfuncs: Kfuncs, vmlinux: Btf | None = None, others: Mapping[str, Btf] | None = None
) -> list[Finding]:
    """Findings about a module's sets and the kfuncs in them.

    *vmlinux* is the kernel's BTF and *others* that of other modules, by display name; both are
    searched for functions with the names of the module's kfuncs.
    """
    verifier = verifier_of(vmlinux, kfuncs.release)
    found = [*_audit_module(kfuncs), *audit_hooks(kfuncs)]
    for group in kfuncs.groups:
        if group.kind.has_flags:
            found += audit_set8(group, kfuncs)
        elif group.kind is GroupKind.DTORS:
            found += audit_dtors(group, kfuncs)
        elif group.kind is not GroupKind.TAGGED:
            found += audit_plain(group, kfuncs)
    found += _audit_differing(kfuncs.groups)
    offered = _offered(kfuncs)
    for func, flags in offered:
        found += _audit_kfunc(func, flags, verifier)
    found += audit_names([func for func, _ in offered], vmlinux, others or {}, verifier)
    found += _audit_tags(kfuncs.btf, {func.id for func, _ in offered})
    return list(dict.fromkeys(found))


def _audit_module(kfuncs: Kfuncs) -> Iterator[Finding]:
    if kfuncs.is_raw_btf:
        yield KFUNCS.finding("raw-btf", type=kfuncs.path)
    registers = REGISTER_KFUNCS in kfuncs.imports
    for symbol in kfuncs.outside:
        yield KFUNCS.finding("outside", type=symbol)
    has_set8 = any(group.kind.has_flags for group in kfuncs.groups)
    if kfuncs.btf is None and (has_set8 or kfuncs.imports & REGISTRATIONS):
        yield KFUNCS.finding("no-btf", type=kfuncs.path)
    if kfuncs.has_ids and not kfuncs.groups:
        yield KFUNCS.finding("no-symbols", type=kfuncs.path)
    elif registers and not has_set8:
        yield KFUNCS.finding("no-set", type=REGISTER_KFUNCS)


def _audit_differing(groups: Iterable[Group]) -> Iterator[Finding]:
    seen: dict[str, tuple[str, int]] = {}
    for group in groups:
        for entry in group.entries if group.kind.has_kfuncs else ():
            if not entry.name:
                continue
            where, flags = seen.setdefault(entry.name, (group.name, entry.flags))
            if flags != entry.flags and where != group.name:
                fields = {"one": where, "was": _spelt(flags)}
                fields |= {"other": group.name, "flags": _spelt(entry.flags)}
                yield KFUNCS.finding("flags-differ", type=entry.name, **fields)


def _spelt(flags: int) -> str:
    return spell_flags(flags) or "none"


def _offered(kfuncs: Kfuncs) -> list[tuple[BtfType, int]]:
    """The kfuncs with their flags; one that is in two sets with the same flags is listed once."""
    pairs = {
        (entry.func.id, entry.flags): entry.func
        for group in kfuncs.groups
        if group.kind.has_kfuncs
        for entry in group.entries
        if entry.func is not None
    }
    return [(func, flags) for (_, flags), func in pairs.items()]


def _audit_kfunc(func: BtfType, flags: int, verifier: Verifier) -> Iterator[Finding]:
    whole = func
    if flags & IMPLICIT_ARGS:
        whole = func.btf.find(f"{func.name}_impl", Kind.FUNC) or func
    proto = func.btf[whole.size_or_type]
    yield from audit_iterator(func, proto, flags)
    yield from audit_args(func, proto, flags, verifier)
    yield from audit_result(func, proto)
    yield from audit_flags(func, proto, flags, verifier)


def _audit_tags(btf: Btf | None, offered: set[int]) -> Iterator[Finding]:
    tagged = {t.type for t in btf or () if t.kind is Kind.DECL_TAG and t.name == KFUNC_TAG}
    without = len(offered - tagged)
    if without:
        have = "has" if without == 1 else "have"
        kfuncs = counted(len(offered), "kfunc")
        yield KFUNCS.finding("no-tag", without=without, kfuncs=kfuncs, have=have)
