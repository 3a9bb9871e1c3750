"""The rules for lists, plain sets and tables of destructors.

Source: register_btf_id_dtor_kfuncs() in kernel/bpf/btf.c of 6.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.bpf.audit_sets import audit_count, audit_order, described
from kbtf.bpf.kfuncs import GroupKind
from kbtf.btf.kinds import Kind
from kbtf.check.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.bpf.kfuncs import Entry, Group, Kfuncs
    from kbtf.btf_ids import Slot

_MOST_DTORS = 255  # one less than BTF_DTOR_KFUNC_MAX_CNT
_REFUSED = "the kernel refuses to register the destructors"
_RUN = "run 'kbtf run' on it"
_ANEW = "link the module anew"


def audit_plain(group: Group, kfuncs: Kfuncs) -> Iterator[Finding]:
    """What is wrong with ids that a module reads itself."""
    is_set = group.kind is GroupKind.SET
    what = f"{'set' if is_set else 'list'} {group.name}"
    if kfuncs.is_distilled and (is_set or group.name in kfuncs.unrelocated):
        text = f"the kernel does not relocate the {what}, which the module reads"
        yield _warning("ids-list", group.name, text)
    missing = _missing(group)
    if missing and group.is_resolved:
        text = f"{what}: {', '.join(missing)} not resolved (id 0)"
        yield _warning("ids-unresolved", group.name, text)
    elif missing:
        yield _warning("ids-unresolved", group.name, f"{what} is not resolved", _RUN)
    if kfuncs.btf is None:
        return
    if is_set and group.is_resolved:
        yield from audit_count(group)
        yield from audit_order(group, sorts_itself=False)
    for entry, slot in _pairs(group):
        if entry.id and (entry.name, entry.kind) != (slot.name, slot.kind):
            text = f"{what}: the id of {slot.kind.name.lower()} {slot.name} is {described(entry)}"
            yield _error("ids-mismatch", group.name, text, _ANEW)


def audit_dtors(group: Group, kfuncs: Kfuncs) -> Iterator[Finding]:
    """Pairs of a type and the function that destroys it: ``void f(T *)``."""
    functions = [(entry, slot) for entry, slot in _pairs(group) if slot.kind is Kind.FUNC]
    what = f"table {group.name}"
    if len(functions) > _MOST_DTORS:
        text = f"{what} has {len(functions)} destructors, and a module may have {_MOST_DTORS}"
        yield _error("too-many", group.name, f"{text}; {_REFUSED}")
    for entry, slot in _pairs(group):
        if slot.kind is not Kind.FUNC and not entry.id:
            yield _error("ids-unresolved", group.name, f"{what}: {slot.name} not resolved (id 0)")
    for entry, slot in functions if kfuncs.btf is not None else ():
        yield from _audit_dtor(what, entry, slot)


def _audit_dtor(what: str, entry: Entry, slot: Slot) -> Iterator[Finding]:
    func = entry.func
    if func is None or not entry.id:
        found = described(entry) if entry.id else "not resolved (id 0)"
        yield _error("ids-no-func", slot.name, f"{what}: {slot.name} is {found}; {_REFUSED}")
        return
    if func.name != slot.name:
        text = f"{what}: the id of func {slot.name} is {described(entry)}"
        yield _error("ids-mismatch", slot.name, text, _ANEW)
    proto = func.btf[func.size_or_type]
    # The kernel looks at the types themselves here, through no typedef and no const.
    takes = [func.btf[param.type].kind for param in proto.params]
    if proto.size_or_type or takes != [Kind.PTR]:
        text = (
            f"{what}: {entry.prototype or func.name} is not a destructor, which returns void and "
        )
        yield _error("dtor", func.name, f"{text}takes one pointer; {_REFUSED}")


def _missing(group: Group) -> list[str]:
    """What has the id 0; in a resolved set that is told by what its ids do not name."""
    named = {entry.name for entry in group.entries if entry.id}
    if not any(not entry.id for entry in group.entries):
        return []
    return [slot.name for slot in group.symbols if slot.name not in named] or ["an id"]


def _pairs(group: Group) -> list[tuple[Entry, Slot]]:
    """The ids of a list and their symbols; those of a set lost their places when it was sorted."""
    if group.kind is GroupKind.SET:
        return []
    return list(zip(group.entries, group.symbols, strict=True))


def _error(code: str, symbol: str, text: str, hint: str | None = None) -> Finding:
    return Finding(Severity.ERROR, code, text, type=symbol, hint=hint)


def _warning(code: str, symbol: str, text: str, hint: str | None = None) -> Finding:
    return Finding(Severity.WARNING, code, text, type=symbol, hint=hint)
