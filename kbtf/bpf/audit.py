"""The rules for kfuncs that show before any kernel has loaded the module.

A finding is an error where the kernel refuses to register the set or every call of the kfunc.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.bpf.audit_args import audit_args, audit_result
from kbtf.bpf.audit_flags import audit_flags, audit_iterator
from kbtf.bpf.audit_lists import audit_dtors, audit_plain
from kbtf.bpf.audit_names import audit_names
from kbtf.bpf.audit_sets import audit_set8
from kbtf.bpf.kfuncs import REGISTER_KFUNCS, GroupKind
from kbtf.btf.kinds import KFUNC_TAG, Kind
from kbtf.check.model import Finding, Severity
from kbtf.check.spell import counted
from kbtf.kfunc_flags import IMPLICIT_ARGS, spell_flags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kbtf.bpf.kfuncs import Group, Kfuncs
    from kbtf.btf.btf import Btf, BtfType


def audit(
    kfuncs: Kfuncs, vmlinux: Btf | None = None, others: Mapping[str, Btf] | None = None
) -> list[Finding]:
    """What is wrong with a module's sets and with the kfuncs in them.

    *vmlinux* is the kernel's BTF and *others* that of other modules, by what to call them, where
    names are looked for that the module has too.
    """
    found = list(_audit_module(kfuncs))
    for group in kfuncs.groups:
        if group.kind.has_flags:
            found += audit_set8(group, kfuncs)
        elif group.kind is GroupKind.DTORS:
            found += audit_dtors(group, kfuncs)
        else:
            found += audit_plain(group, kfuncs)
    found += _audit_differing(kfuncs.groups)
    offered = _offered(kfuncs)
    for func, flags in offered:
        found += _audit_kfunc(func, flags)
    found += audit_names([func for func, _ in offered], vmlinux, others or {})
    found += _audit_tags(kfuncs.btf, {func.id for func, _ in offered})
    return list(dict.fromkeys(found))


def _audit_module(kfuncs: Kfuncs) -> Iterator[Finding]:
    registers = REGISTER_KFUNCS in kfuncs.imports
    for symbol in kfuncs.outside:
        text = f"symbol {symbol} is not in .BTF_ids, where ids are resolved and kernels look"
        yield _error("outside", symbol, text, "use the macros of linux/btf_ids.h")
    if kfuncs.btf is None and (registers or kfuncs.has_ids):
        text = "it has kfunc sets but no BTF: its kfuncs cannot be registered"
        yield _error("no-btf", kfuncs.path, text, "run 'kbtf run' on the module as linked")
    if kfuncs.has_ids and not kfuncs.groups:
        text = "the symbols of .BTF_ids are not there, so that nothing can be said of it"
        yield _warning("no-symbols", kfuncs.path, text)
    elif registers and not any(group.kind.has_flags for group in kfuncs.groups):
        text = "it calls register_btf_kfunc_id_set(), but no set of kfuncs is in .BTF_ids"
        hint = "define it with BTF_KFUNCS_START(), in a kernel with CONFIG_DEBUG_INFO_BTF"
        yield _error("no-set", REGISTER_KFUNCS, text, hint)


def _audit_differing(groups: Iterable[Group]) -> Iterator[Finding]:
    seen: dict[str, tuple[str, int]] = {}
    for group in groups:
        for entry in group.entries if group.kind.has_kfuncs else ():
            if not entry.name:
                continue
            where, flags = seen.setdefault(entry.name, (group.name, entry.flags))
            if flags != entry.flags and where != group.name:
                text = f"{entry.name} has other flags in set {where} ({_spelt(flags)}) than in "
                text += f"{group.name} ({_spelt(entry.flags)})"
                yield _warning("flags-differ", entry.name, text)


def _spelt(flags: int) -> str:
    return spell_flags(flags) or "none"


def _offered(kfuncs: Kfuncs) -> list[tuple[BtfType, int]]:
    """The kfuncs with their flags, those that two sets have in the same way once."""
    pairs = {
        (entry.func.id, entry.flags): entry.func
        for group in kfuncs.groups
        if group.kind.has_kfuncs
        for entry in group.entries
        if entry.func is not None
    }
    return [(func, flags) for (_, flags), func in pairs.items()]


def _audit_kfunc(func: BtfType, flags: int) -> Iterator[Finding]:
    whole = func
    if flags & IMPLICIT_ARGS:
        whole = func.btf.find(f"{func.name}_impl", Kind.FUNC) or func
    proto = func.btf[whole.size_or_type]
    yield from audit_iterator(func, proto, flags)
    yield from audit_args(func, proto, flags)
    yield from audit_result(func, proto)
    yield from audit_flags(func, proto, flags)


def _audit_tags(btf: Btf | None, offered: set[int]) -> Iterator[Finding]:
    tagged = {t.type for t in btf or () if t.kind is Kind.DECL_TAG and t.name == KFUNC_TAG}
    without = len(offered - tagged)
    if without:
        text = f"{without} of {counted(len(offered), 'kfunc')} "
        text += f"{'has' if without == 1 else 'have'} no declaration tag bpf_kfunc; kernels do not "
        text += "need it, bpftool lists kfuncs by it"
        yield Finding(Severity.NOTE, "no-tag", text, hint="run 'kbtf run --kfunc-tags' on it")


def _error(code: str, symbol: str, text: str, hint: str | None = None) -> Finding:
    return Finding(Severity.ERROR, code, text, type=symbol, hint=hint)


def _warning(code: str, symbol: str, text: str, hint: str | None = None) -> Finding:
    return Finding(Severity.WARNING, code, text, type=symbol, hint=hint)
