"""The rules for kfunc sets themselves, whatever the kfuncs in them are like.

Source: register_btf_kfunc_id_set() and btf_populate_kfunc_set() in kernel/bpf/btf.c of 6.12.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kbtf.bpf.kfuncs import GroupKind
from kbtf.btf.kinds import Kind
from kbtf.btf.support import ModuleBtf, module_btf_support
from kbtf.check.model import Finding, Severity
from kbtf.check.spell import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.bpf.kfuncs import Entry, Group, Kfuncs
    from kbtf.btf.btf import Btf

_MOST_KFUNCS = 256  # BTF_KFUNC_SET_MAX_CNT
_REFUSED = "the kernel refuses to register the set"
_RUN = "run 'kbtf run' on it"
_ANEW = "link the module anew"


def audit_set8(group: Group, kfuncs: Kfuncs) -> Iterator[Finding]:
    """What keeps the kernel from registering a set, or programs from what is in it."""
    what = f"set {group.name}"
    if group.kind is GroupKind.SET8:
        text = f"{what} lacks BTF_SET8_KFUNCS: kernels since 6.9 refuse to register it"
        finding = _error("set-flag", group.name, text, "begin it with BTF_KFUNCS_START()")
        yield finding if _is_for_6_11(kfuncs) else finding._replace(severity=Severity.WARNING)
    if len(group.entries) > _MOST_KFUNCS:
        text = f"{what} has {len(group.entries)} kfuncs, and a hook takes {_MOST_KFUNCS}; "
        yield _error("too-many", group.name, text + _REFUSED)
    if not group.entries:
        yield Finding(Severity.NOTE, "empty", f"{what} is empty", type=group.name)
    elif not group.is_resolved:
        yield from _audit_unresolved(group, kfuncs.btf)
    elif kfuncs.btf is not None:
        yield from audit_count(group)
        yield from _audit_ids(group, kfuncs)
        yield from audit_order(group, sorts_itself=_is_for_6_11(kfuncs))


def _audit_unresolved(group: Group, btf: Btf | None) -> Iterator[Finding]:
    text = f"set {group.name} is not resolved: the kernel takes it for empty, and none of its "
    yield _error("ids-unresolved", group.name, f"{text}kfuncs can be called", _RUN)
    for entry in group.entries if btf is not None else ():
        if entry.type is None:
            text = f"set {group.name}: the BTF has no function {entry.name}; once resolved, "
            yield _error("ids-no-func", entry.name, text + _REFUSED)


def audit_count(group: Group) -> Iterator[Finding]:
    """The number in a set is that of its symbol's size."""
    if group.number != len(group.entries):
        text = f"set {group.name} says that it holds {counted(group.number, 'id')}, and there is "
        text += f"room for {len(group.entries)}"
        yield _error("count", group.name, text, _ANEW)


def _audit_ids(group: Group, kfuncs: Kfuncs) -> Iterator[Finding]:
    """Ids of no function, and of other functions than the symbols name."""
    wanted = Counter(slot.name for slot in group.symbols)
    missing = wanted - Counter(entry.name for entry in group.entries)
    unresolved = sum(not entry.id for entry in group.entries)
    if unresolved:
        names = ", ".join(missing) or counted(unresolved, "id")
        text = f"set {group.name}: {names} not resolved (id 0); {_REFUSED}"
        hint = "take what is not there out of the set"
        yield _error("ids-no-func", group.name, text, hint)
    for entry in group.entries:
        if entry.id and entry.func is None:
            text = f"set {group.name}: id {entry.id} is {described(entry)}, not a kfunc; "
            # btf_relocate_id() does not compare an id with the length of its map
            reads_on = kfuncs.is_distilled and entry.kind is None
            text += "the kernel reads past the end of its map of ids" if reads_on else _REFUSED
            yield _error("ids-no-func", group.name, text, _ANEW)
        elif entry.func is not None and wanted and entry.name not in wanted:
            text = f"set {group.name} holds {entry.name} (id {entry.id}), which no symbol of it "
            text += "names: it was resolved against other BTF"
            yield _error("ids-mismatch", group.name, text, _ANEW)


def described(entry: Entry) -> str:
    """What an id is of."""
    if entry.kind is None:
        return "that of no type"
    suffix = " without a prototype" if entry.kind is Kind.FUNC and entry.func is None else ""
    return f"{entry.kind.name} '{entry.name}'{suffix}"


def audit_order(group: Group, *, sorts_itself: bool) -> Iterator[Finding]:
    """Ids are looked up by halving, each once."""
    ids = [entry.id for entry in group.entries]
    for type_id, number in Counter(ids).items():
        if number > 1 and type_id:
            same = [entry for entry in group.entries if entry.id == type_id]
            text = f"set {group.name} holds {same[0].name or type_id} {number} times"
            if len({entry.flags for entry in same}) > 1:
                text += "; which flags count is chance"
            yield _warning("duplicate", group.name, text)
    if ids != sorted(ids):
        text = f"set {group.name} is not in order of its ids"
        if sorts_itself:
            text += "; kernels sort it since 6.11, older ones miss some of them"
            yield _warning("not-sorted", group.name, text)
        else:
            text += ", and looking one up misses some"
            yield _error("not-sorted", group.name, text, _ANEW)


def _is_for_6_11(kfuncs: Kfuncs) -> bool:
    """Its kernel can relocate, and copies the sets of modules and sorts the copies."""
    vmlinux = kfuncs.btf.base if kfuncs.btf is not None else None
    if kfuncs.is_distilled or vmlinux is None:
        return True
    return module_btf_support(vmlinux) is ModuleBtf.RELOCATES


def _error(code: str, symbol: str, text: str, hint: str | None = None) -> Finding:
    return Finding(Severity.ERROR, code, text, type=symbol, hint=hint)


def _warning(code: str, symbol: str, text: str, hint: str | None = None) -> Finding:
    return Finding(Severity.WARNING, code, text, type=symbol, hint=hint)
