# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The rules for kfunc sets themselves, regardless of the kfuncs in them.

Source: register_btf_kfunc_id_set() and btf_populate_kfunc_set() in kernel/bpf/btf.c of 6.12.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kbtf.bpf.kfuncs import GroupKind
from kbtf.btf.kinds import Kind
from kbtf.findings.kfuncs import KFUNCS
from kbtf.kernel.features import ModuleBtf, module_btf_support
from kbtf.say import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.bpf.kfuncs import Entry, Group, Kfuncs
    from kbtf.btf.btf import Btf
    from kbtf.findings.finding import Finding

_MOST_KFUNCS = 256  # BTF_KFUNC_SET_MAX_CNT


def audit_set8(group: Group, kfuncs: Kfuncs) -> Iterator[Finding]:
    """Why the kernel refuses to register a set, or programs cannot call its kfuncs."""
    if group.kind is GroupKind.SET8:
        yield KFUNCS.finding("set-flag", "new" if _is_for_6_11(kfuncs) else "old", type=group.name)
    if len(group.entries) > _MOST_KFUNCS:
        numbers = {"number": len(group.entries), "most": _MOST_KFUNCS}
        yield KFUNCS.finding("too-many", "kfuncs", type=group.name, **numbers)
    if not group.entries:
        yield KFUNCS.finding("empty", type=group.name)
    elif not group.is_resolved:
        yield from _audit_unresolved(group, kfuncs.btf)
    elif kfuncs.btf is not None:
        yield from audit_count(group)
        yield from _audit_ids(group, kfuncs)
        yield from audit_order(group, sorts_itself=_is_for_6_11(kfuncs))


def _audit_unresolved(group: Group, btf: Btf | None) -> Iterator[Finding]:
    yield KFUNCS.finding("ids-unresolved", "set", type=group.name)
    for entry in group.entries if btf is not None else ():
        if entry.type is None:
            yield KFUNCS.finding("ids-no-func", "no_function", type=entry.name, set=group.name)


def audit_count(group: Group) -> Iterator[Finding]:
    """Whether the count in a set agrees with the size of its symbol."""
    if group.number != len(group.entries):
        said = counted(group.number, "id")
        yield KFUNCS.finding("count", type=group.name, said=said, room=len(group.entries))


def _audit_ids(group: Group, kfuncs: Kfuncs) -> Iterator[Finding]:
    """Ids that are not of functions, and ids of functions that no symbol names."""
    wanted = Counter(slot.name for slot in group.symbols)
    missing = wanted - Counter(entry.name for entry in group.entries)
    unresolved = sum(not entry.id for entry in group.entries)
    if unresolved:
        names = ", ".join(missing) or counted(unresolved, "id")
        yield KFUNCS.finding("ids-no-func", "unresolved", type=group.name, names=names)
    for entry in group.entries:
        if entry.id and entry.func is None:
            # btf_relocate_id() does not compare an id with the length of its map
            case = "unchecked" if kfuncs.is_distilled and entry.kind is None else "other"
            what = described(entry)
            yield KFUNCS.finding("ids-no-func", case, type=group.name, id=entry.id, found=what)
        elif entry.func is not None and wanted and entry.name not in wanted:
            wrong = {"name": entry.name, "id": entry.id}
            yield KFUNCS.finding("ids-mismatch", "set", type=group.name, **wrong)


def described(entry: Entry) -> str:
    """The type with an id, in words."""
    if entry.kind is None:
        return "that of no type"
    suffix = " without a prototype" if entry.kind is Kind.FUNC and entry.func is None else ""
    return f"{entry.kind.name} '{entry.name}'{suffix}"


def audit_order(group: Group, *, sorts_itself: bool) -> Iterator[Finding]:
    """Ids are found by binary search, so they must be sorted and unique."""
    ids = [entry.id for entry in group.entries]
    for type_id, number in Counter(ids).items():
        if number > 1 and type_id:
            same = [entry for entry in group.entries if entry.id == type_id]
            case = "differs" if len({entry.flags for entry in same}) > 1 else "alike"
            name = same[0].name or type_id
            yield KFUNCS.finding("duplicate", case, type=group.name, name=name, times=number)
    if ids != sorted(ids):
        yield KFUNCS.finding("not-sorted", "sorts" if sorts_itself else "misses", type=group.name)


def _is_for_6_11(kfuncs: Kfuncs) -> bool:
    """Whether its kernel can relocate: then it copies the sets of modules and sorts the copies."""
    vmlinux = kfuncs.btf.base if kfuncs.btf is not None else None
    if kfuncs.is_distilled or vmlinux is None:
        return True
    return module_btf_support(vmlinux) is ModuleBtf.RELOCATES
