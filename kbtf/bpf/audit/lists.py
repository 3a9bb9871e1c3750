# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The rules for lists, plain sets and tables of destructors.

Source: register_btf_id_dtor_kfuncs() in kernel/bpf/btf.c of 6.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.bpf.audit.sets import audit_count, audit_order, described
from kbtf.bpf.kfuncs import GroupKind
from kbtf.btf.kinds import Kind
from kbtf.findings.kfuncs import KFUNCS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.bpf.kfuncs import Entry, Group, Kfuncs
    from kbtf.findings.finding import Finding
    from kbtf.ids.btf_ids import Slot

_MOST_DTORS = 255  # one less than BTF_DTOR_KFUNC_MAX_CNT


def audit_plain(group: Group, kfuncs: Kfuncs) -> Iterator[Finding]:
    """Findings about ids that the module reads itself."""
    is_set = group.kind is GroupKind.SET
    what = f"{'set' if is_set else 'list'} {group.name}"
    if kfuncs.is_distilled and (is_set or group.name in kfuncs.unrelocated):
        yield KFUNCS.finding("ids-list", type=group.name, group=what)
    missing = _missing(group)
    if missing and group.is_resolved:
        names = ", ".join(missing)
        yield KFUNCS.finding("ids-unresolved", "ids", type=group.name, group=what, names=names)
    elif missing:
        yield KFUNCS.finding("ids-unresolved", "all", type=group.name, group=what)
    if kfuncs.btf is None:
        return
    if is_set and group.is_resolved:
        yield from audit_count(group)
        yield from audit_order(group, sorts_itself=False)
    for entry, slot in _pairs(group):
        if entry.id and (entry.name, entry.kind) != (slot.name, slot.kind):
            yield _other_id(what, group.name, entry, slot)


def audit_dtors(group: Group, kfuncs: Kfuncs) -> Iterator[Finding]:
    """Pairs of a type and the function that destroys it: ``void f(T *)``."""
    functions = [(entry, slot) for entry, slot in _pairs(group) if slot.kind is Kind.FUNC]
    if len(functions) > _MOST_DTORS:
        numbers = {"number": len(functions), "most": _MOST_DTORS}
        yield KFUNCS.finding("too-many", "dtors", type=group.name, **numbers)
    for entry, slot in _pairs(group):
        if slot.kind is not Kind.FUNC and not entry.id:
            yield KFUNCS.finding("ids-unresolved", "dtor", type=group.name, name=slot.name)
    for entry, slot in functions if kfuncs.btf is not None else ():
        yield from _audit_dtor(group.name, entry, slot)


def _audit_dtor(table: str, entry: Entry, slot: Slot) -> Iterator[Finding]:
    func = entry.func
    if func is None or not entry.id:
        found = described(entry) if entry.id else "not resolved (id 0)"
        yield KFUNCS.finding("ids-no-func", "dtor", type=slot.name, table=table, found=found)
        return
    if func.name != slot.name:
        yield _other_id(f"table {table}", slot.name, entry, slot)
    proto = func.btf[func.size_or_type]
    # The kernel does not strip typedefs and const here.
    takes = [func.btf[param.type].kind for param in proto.params]
    if proto.size_or_type or takes != [Kind.PTR]:
        prototype = entry.prototype or func.name
        yield KFUNCS.finding("dtor", type=func.name, table=table, prototype=prototype)


def _other_id(group: str, about: str, entry: Entry, slot: Slot) -> Finding:
    """An id that is not of the type its symbol names."""
    fields = {"kind": slot.kind.name.lower(), "name": slot.name, "found": described(entry)}
    return KFUNCS.finding("ids-mismatch", "list", type=about, group=group, **fields)


def _missing(group: Group) -> list[str]:
    """The entries with id 0; in a resolved set, the symbols that none of its ids corresponds to."""
    named = {entry.name for entry in group.entries if entry.id}
    if not any(not entry.id for entry in group.entries):
        return []
    return [slot.name for slot in group.symbols if slot.name not in named] or ["an id"]


def _pairs(group: Group) -> list[tuple[Entry, Slot]]:
    """The ids of a list with their symbols; sorting a set separates its ids from their symbols."""
    if group.kind is GroupKind.SET:
        return []
    return list(zip(group.entries, group.symbols, strict=True))
