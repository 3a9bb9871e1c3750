# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Rules for the flags of a kfunc: against its prototype, and against each other.

Source: check_kfunc_call(), check_kfunc_args() and btf_check_iter_kfuncs() of the kernel.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbtf.bpf.audit.types import (
    ITERATOR,
    is_iterator,
    is_named_struct,
    pointee,
)
from kbtf.btf.c_type_name import spell
from kbtf.btf.kinds import COMPOSITES, Kind
from kbtf.findings.kfuncs import KFUNCS
from kbtf.ids.kfunc_flags import (
    ACQUIRE,
    ARENA_ARG1,
    ARENA_ARG2,
    ARENA_RET,
    FASTCALL,
    FLAGS,
    IMPLICIT_ARGS,
    IMPLICIT_STRUCTS,
    ITER_DESTROY,
    ITER_NEW,
    ITER_NEXT,
    RCU,
    RCU_PROTECTED,
    RELEASE,
    RET_NULL,
    SLEEPABLE,
    TRUSTED_ARGS,
    flag_names,
    unknown_bits,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.bpf.audit.verifier import Verifier
    from kbtf.btf.btf import BtfType
    from kbtf.findings.finding import Finding

_ITER = ITER_NEW | ITER_NEXT | ITER_DESTROY
_ROLES = {ITER_NEW: "new", ITER_NEXT: "next", ITER_DESTROY: "destroy"}
_ITERATOR_NAME = re.compile(rf"{ITERATOR}.+_(new|next|destroy)", re.ASCII | re.DOTALL)
_LONGEST_NAME = 127  # the kernel compares only this much of the name


def audit_flags(func: BtfType, proto: BtfType, flags: int, verifier: Verifier) -> Iterator[Finding]:
    """Findings about the flags of a kfunc, given its arguments and result."""
    yield from _audit_bits(func, flags, verifier)
    yield from _audit_references(func, proto, flags)
    yield from _audit_pairs(func, flags)
    yield from _audit_arena(func, proto, flags)
    if flags & IMPLICIT_ARGS:
        yield from _audit_implicit(func)


def audit_iterator(func: BtfType, proto: BtfType, flags: int) -> Iterator[Finding]:
    """Why the kernel refuses to register an iterator's kfunc, in the order of its checks."""
    role = flags & _ITER
    target = pointee(func.btf, proto.params[0].type) if proto.params else None
    if not role:
        if _ITERATOR_NAME.fullmatch(func.name) and is_iterator(target):
            yield KFUNCS.finding("iter-flag", "none", type=func.name)
        return
    refused = _why_no_iterator(func, proto, role, target)
    if refused is not None:
        yield refused
    elif role == ITER_NEXT and not flags & RET_NULL:
        yield KFUNCS.finding("iter-null", type=func.name)


def _why_no_iterator(
    func: BtfType, proto: BtfType, role: int, target: BtfType | None
) -> Finding | None:
    btf, name = func.btf, func.name
    if role not in _ROLES:
        both = " and ".join(flag_names(role))
        return KFUNCS.finding("iter-flag", "several", type=name, flags=both)
    if target is None or not is_iterator(target):
        return KFUNCS.finding("iter-arg", type=name)
    if not target.size or target.size % 8:
        return KFUNCS.finding("iter-size", type=name, size=target.size)
    wanted = f"{target.name}_{_ROLES[role]}"
    if name != wanted[:_LONGEST_NAME]:
        return KFUNCS.finding("iter-name", type=name, wanted=wanted, flag=flag_names(role)[0])
    if role != ITER_NEW and len(proto.params) != 1:
        return KFUNCS.finding("iter-args", type=name, number=len(proto.params))
    spelt = spell(btf, proto.size_or_type)
    if role == ITER_NEXT and pointee(btf, proto.size_or_type) is None:
        return KFUNCS.finding("iter-return", type=name, spelt=spelt, wanted="a pointer")
    if role == ITER_DESTROY and proto.size_or_type:
        return KFUNCS.finding("iter-return", type=name, spelt=spelt, wanted="void")
    return None


def _audit_bits(func: BtfType, flags: int, verifier: Verifier) -> Iterator[Finding]:
    unknown = unknown_bits(flags)
    if unknown:
        yield KFUNCS.finding("unknown-flags", "bits", type=func.name, bits=unknown)
    for flag in FLAGS:
        if not flags >> flag.bit & 1:
            continue
        if not verifier.knows(flag.since):
            fields = {"flag": flag.name, "release": flag.since}
            yield KFUNCS.finding("unknown-flags", "since", type=func.name, **fields)
        if flag.until is not None:
            fields = {"flag": flag.name, "release": flag.until}
            yield KFUNCS.finding("old-flag", type=func.name, **fields)


def _audit_references(func: BtfType, proto: BtfType, flags: int) -> Iterator[Finding]:
    btf = func.btf
    target = pointee(btf, proto.size_or_type)
    spelt = spell(btf, proto.size_or_type)
    if flags & ACQUIRE and (target is None or target.kind not in COMPOSITES):
        yield KFUNCS.finding("acquire", type=func.name, spelt=spelt)
    if flags & RET_NULL and (target is None or target.kind is Kind.UNKN):
        yield KFUNCS.finding("ret-null", type=func.name, spelt=spelt)
    if flags & RELEASE:
        takes = [pointee(btf, param.type) for param in proto.params]
        if all(one is None for one in takes):
            yield KFUNCS.finding("release", "none", type=func.name)
        elif all(one is None or one.kind not in COMPOSITES for one in takes):
            yield KFUNCS.finding("release", "no_struct", type=func.name)


def _audit_pairs(func: BtfType, flags: int) -> Iterator[Finding]:
    """Flags that contradict each other, or that a module may not use."""
    if flags & TRUSTED_ARGS and flags & RCU:
        yield KFUNCS.finding("flags", "trusted_rcu", type=func.name)
    if flags & RELEASE and flags & RCU:
        yield KFUNCS.finding("flags", "release_rcu", type=func.name)
    if flags & SLEEPABLE and flags & RCU_PROTECTED and not flags & _ITER:
        yield KFUNCS.finding("flags", "sleepable_rcu", type=func.name)
    if flags & FASTCALL:
        yield KFUNCS.finding("fastcall", type=func.name)


def _audit_arena(func: BtfType, proto: BtfType, flags: int) -> Iterator[Finding]:
    types = [proto.size_or_type, *(param.type for param in proto.params[:2])]
    for at, flag in enumerate((ARENA_RET, ARENA_ARG1, ARENA_ARG2)):
        if flags & flag and (at >= len(types) or pointee(func.btf, types[at]) is None):
            what = f"argument {at}" if at else "the result"
            yield KFUNCS.finding("arena", type=func.name, flag=flag_names(flag)[0], what=what)


def _audit_implicit(func: BtfType) -> Iterator[Finding]:
    """The verifier takes the whole prototype from ``<name>_impl``, which resolve_btfids makes."""
    impl = func.btf.find(f"{func.name}_impl", Kind.FUNC)
    if impl is None:
        yield KFUNCS.finding("implicit-args", "no_impl", type=func.name)
        return
    proto = func.btf.skip(impl.size_or_type)
    last = pointee(func.btf, proto.params[-1].type) if proto.params else None
    if not any(is_named_struct(last, name) for name in IMPLICIT_STRUCTS):
        yield KFUNCS.finding("implicit-args", "not_last", type=func.name)
