# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Changes that BPF programs see between two kernels, or two versions of modules.

A program is built against the kfuncs of the old side.  libbpf compares the prototypes it declares
with those of the new side; the verifier checks pointer types, flags and parameter suffixes.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from kbtf.bpf.proto import difference
from kbtf.bpf.suffixes import suffix_of
from kbtf.btf.c_type_name import c_name
from kbtf.btf.kinds import COMPOSITES, Kind
from kbtf.ids import kfunc_flags as kf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kbtf.bpf.offer import Offer, Offers
    from kbtf.btf.btf import Btf, BtfType, Param


class Compatibility(Enum):
    """The effect of a change, from best to worst."""

    COMPATIBLE = "compatible"
    ADDITIONS = "additions"
    BREAKING = "breaking"

    @property
    def rank(self) -> int:
        """Higher is worse."""
        return list(Compatibility).index(self)


class Change(NamedTuple):
    """A difference between the two sides, and its effect on programs."""

    kfunc: str
    kind: str
    """``added``, ``removed``, ``prototype``, ``flags`` or ``suffix``."""
    effect: Compatibility
    text: str


class _FlagChange(NamedTuple):
    """The effect on programs when a flag is added or removed; None if nothing breaks."""

    gained: str | None
    lost: str | None


_FLAG_CHANGES = {
    kf.ACQUIRE: _FlagChange(
        "programs must release what it returns", "programs may no longer release what it returns"
    ),
    kf.RELEASE: _FlagChange(
        "it accepts only referenced pointers", "programs still hold the reference after the call"
    ),
    kf.RET_NULL: _FlagChange("programs must test the result for NULL", None),
    kf.TRUSTED_ARGS: _FlagChange("it accepts only trusted pointers", None),
    kf.SLEEPABLE: _FlagChange("only sleepable programs can call it", None),
    kf.DESTRUCTIVE: _FlagChange("loading programs requires CAP_SYS_BOOT", None),
    kf.RCU: _FlagChange("it accepts only trusted or RCU pointers", None),
    kf.ITER_NEW: _FlagChange("it begins an iterator", "it no longer begins an iterator"),
    kf.ITER_NEXT: _FlagChange("it is part of an iterator", "it is no longer part of an iterator"),
    kf.ITER_DESTROY: _FlagChange("it ends an iterator", "it no longer ends an iterator"),
    kf.RCU_PROTECTED: _FlagChange("it is for RCU critical sections only", None),
    kf.SPINLOCK_SAFE: _FlagChange(None, "programs may no longer call it with a lock held"),
    kf.PERFMON: _FlagChange("loading programs requires CAP_PERFMON", None),
}
_TIGHTER = frozenset({"__sz", "__szk", "__k", "__str", "__map", "__iter", "__irq_flag", "__uninit"})
"""Suffixes that make the verifier accept fewer arguments."""
_LOOSER = frozenset({"__nullable", "__ign", "__opt"})
"""Suffixes that make it accept more."""
_MAY_BE_NULL = frozenset({"__nullable", "__opt"})
"""Suffixes that allow NULL: 7.3 uses the first where earlier kernels had the second."""


_NO_OBJECTS = (
    # memory on a program's stack or in maps, or its context
    "bpf_iter_",
    "bpf_dynptr",
    "bpf_list_",
    "bpf_rb_",
    "bpf_wq",
    "bpf_map",
    "bpf_spin_lock",
    "bpf_res_spin_lock",
    "bpf_sock_addr_kern",
    "sk_buff",
    "xdp_md",
    "xdp_buff",
    "pt_regs",
)


def compare(old: Offers, new: Offers) -> list[Change]:
    """All changes from *old* to *new*, by name; flags are compared if both sides know them."""
    changes = []
    all_trusted = _trusts_all(old, new)
    for name in sorted(old.kfuncs.keys() | new.kfuncs.keys()):
        before, after = old.kfuncs.get(name), new.kfuncs.get(name)
        if after is None or (after.func is None and before is not None and before.func):
            text = "programs that call it do not load; weak externs resolve to nothing"
            changes.append(Change(name, "removed", Compatibility.BREAKING, text))
        elif before is None or before.func is None:
            text = "programs can call it" if after.func else "it has no prototype to call it by"
            changes.append(Change(name, "added", Compatibility.ADDITIONS, text))
        else:
            changes += _changes(before, after, all_trusted=all_trusted)
    return changes


def _trusts_all(old: Offers, new: Offers) -> bool:
    """Whether the new side accepts only trusted pointers, flag or not, as kernels since 7.0 do.

    They have no KF_TRUSTED_ARGS, so none of their kfuncs has the flag.
    """
    return _any_has(old, kf.TRUSTED_ARGS) and not _any_has(new, kf.TRUSTED_ARGS)


def _any_has(side: Offers, flag: int) -> bool:
    return any(offer.flags is not None and offer.flags & flag for offer in side.kfuncs.values())


def verdict(changes: Iterable[Change]) -> Compatibility:
    """The worst effect of all changes."""
    effects = (change.effect for change in changes)
    return max(effects, key=lambda effect: effect.rank, default=Compatibility.COMPATIBLE)


def _changes(old: Offer, new: Offer, *, all_trusted: bool) -> Iterator[Change]:
    if old.func is None or new.func is None:
        return
    yield from _prototype_changes(old.name, old.func, new.func)
    if old.flags is not None and new.flags is not None:
        flags = old.flags
        if all_trusted:
            yield from _trust_changes(old.name, old.flags, old.func)
            flags &= ~kf.TRUSTED_ARGS
        yield from _flag_changes(old.name, flags, new.flags)


def _trust_changes(name: str, flags: int, func: BtfType) -> Iterator[Change]:
    """The effect of a kernel requiring trusted pointers without a flag that says so."""
    params = func.btf[func.size_or_type].params
    if flags & (kf.TRUSTED_ARGS | kf.RCU | kf.RELEASE):
        return
    if any(_is_trusted_where_asked(func.btf, params, at) for at in range(len(params))):
        text = "it accepts only trusted pointers, like all kfuncs of that kernel"
        yield Change(name, "flags", Compatibility.BREAKING, text)


def _prototype_changes(name: str, old: BtfType, new: BtfType) -> Iterator[Change]:
    why = difference(old.btf, old.size_or_type, new.btf, new.size_or_type)
    if why is not None:
        text = f"programs built against the old prototype do not load: {why.told('before', 'now')}"
        yield Change(name, "prototype", Compatibility.BREAKING, text)
        return
    ours, theirs = old.btf[old.size_or_type], new.btf[new.size_or_type]
    pairs = [("the result", ours.size_or_type, theirs.size_or_type)]
    for number, (mine, other) in enumerate(zip(ours.params, theirs.params, strict=True), 1):
        pairs.append((f"argument {number}", mine.type, other.type))
        yield from _suffix_changes(name, f"argument {number}", mine.name, other.name)
    for place, before, after in pairs:
        one, two = _pointee(old.btf, before), _pointee(new.btf, after)
        if one and two and c_name(one) != c_name(two):
            text = f"{place} is now a pointer to {c_name(two)}, it was one to {c_name(one)}; the "
            text += "verifier refuses programs that use the old type"
            yield Change(name, "prototype", Compatibility.BREAKING, text)


def _pointee(btf: Btf, type_id: int) -> BtfType | None:
    """The named struct or union that a type points to; None if it points to none."""
    pointer = btf.skip(type_id)
    if pointer.kind is not Kind.PTR:
        return None
    target = btf.skip(pointer.size_or_type)
    return target if target.kind in COMPOSITES and target.name else None


def _suffix_changes(name: str, place: str, old: str, new: str) -> Iterator[Change]:
    before, after = (found.text if found else "" for found in map(suffix_of, (old, new)))
    if before == after:
        return
    if after in _TIGHTER:
        text = f"{place} now ends in {after}: the verifier accepts fewer arguments"
        yield Change(name, "suffix", Compatibility.BREAKING, text)
    elif before in _LOOSER and not {before, after} <= _MAY_BE_NULL:
        text = f"{place} no longer ends in {before}: the verifier accepts fewer arguments"
        yield Change(name, "suffix", Compatibility.BREAKING, text)
    else:
        text = f"{place} ends in {after or 'no suffix'}, it ended in {before or 'none'}"
        yield Change(name, "suffix", Compatibility.COMPATIBLE, text)


def _is_trusted_where_asked(btf: Btf, params: Sequence[Param], at: int) -> bool:
    """Whether the verifier requires this parameter to be trusted: a kernel object."""
    pointee = _pointee(btf, params[at].type)
    if pointee is None or suffix_of(params[at].name) is not None:
        return False
    following = suffix_of(params[at + 1].name) if at + 1 < len(params) else None
    if following is not None and following.text in ("__sz", "__szk"):
        return False  # memory of that size
    return pointee.kind is not Kind.STRUCT or not pointee.name.startswith(_NO_OBJECTS)


def _flag_changes(name: str, old: int, new: int) -> Iterator[Change]:
    for flag in kf.FLAGS:
        bit = 1 << flag.bit
        if not (old ^ new) & bit:
            continue
        gained = bool(new & bit)
        known = _FLAG_CHANGES.get(bit, _FlagChange(None, None))
        consequence = known.gained if gained else known.lost
        text = f"{flag.name} is {'new' if gained else 'gone'}"
        effect = Compatibility.COMPATIBLE
        if consequence is not None and not _is_weaker(bit, old, new):
            effect, text = Compatibility.BREAKING, f"{text}: {consequence}"
        yield Change(name, "flags", effect, text)


def _is_weaker(bit: int, old: int, new: int) -> bool:
    """Whether an added flag replaced a stricter one."""
    return bit == kf.RCU and bool(old & kf.TRUSTED_ARGS) and not new & kf.TRUSTED_ARGS
