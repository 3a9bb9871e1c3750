"""The flags of a kfunc beside its prototype and beside each other.

Source: check_kfunc_call(), check_kfunc_args() and btf_check_iter_kfuncs() of the kernel.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbtf.bpf.audit_types import (
    COMPOSITES,
    ITERATOR,
    is_iterator,
    is_named_struct,
    pointee,
    unwrap,
)
from kbtf.btf.kinds import Kind
from kbtf.check.model import Finding, Severity
from kbtf.check.spell import spell
from kbtf.kfunc_flags import (
    ACQUIRE,
    ARENA_ARG1,
    ARENA_ARG2,
    ARENA_RET,
    FASTCALL,
    FLAGS,
    IMPLICIT_ARGS,
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

    from kbtf.btf.btf import BtfType

_ITER = ITER_NEW | ITER_NEXT | ITER_DESTROY
_ROLES = {ITER_NEW: "new", ITER_NEXT: "next", ITER_DESTROY: "destroy"}
_ITERATOR_NAME = re.compile(rf"{ITERATOR}.+_(new|next|destroy)", re.ASCII | re.DOTALL)
_LONGEST_NAME = 127  # what the kernel compares the name with is cut there
_IMPLICIT = ("bpf_prog_aux", "btf_struct_meta")
_REFUSED = "; the verifier refuses every call"


def audit_flags(func: BtfType, proto: BtfType, flags: int) -> Iterator[Finding]:
    """What is wrong with the flags of a kfunc, given what it takes and returns."""
    yield from _audit_bits(func, flags)
    yield from _audit_references(func, proto, flags)
    yield from _audit_pairs(func, flags)
    yield from _audit_arena(func, proto, flags)
    if flags & IMPLICIT_ARGS:
        yield from _audit_implicit(func)


def audit_iterator(func: BtfType, proto: BtfType, flags: int) -> Iterator[Finding]:
    """What keeps the kernel from registering an iterator's kfunc, in the order of its checks."""
    role = flags & _ITER
    target = pointee(func.btf, proto.params[0].type) if proto.params else None
    if not role:
        if _ITERATOR_NAME.fullmatch(func.name) and is_iterator(target):
            text = f"{func.name} is called as part of an iterator, but has no KF_ITER flag: "
            yield _warning("iter-flag", func, f"{text}the verifier takes it for any kfunc")
        return
    why = _why_no_iterator(func, proto, role, target)
    if why is not None:
        code, text = why
        yield _error(code, func, f"{func.name} {text}; the kernel refuses to register the set")
    elif role == ITER_NEXT and not flags & RET_NULL:
        text = f"{func.name} has KF_ITER_NEXT without KF_RET_NULL: the verifier sees no end of "
        yield _warning("iter-null", func, f"{text}the loop")


def _why_no_iterator(
    func: BtfType, proto: BtfType, role: int, target: BtfType | None
) -> tuple[str, str] | None:
    btf = func.btf
    if role not in _ROLES:
        return "iter-flag", f"has {' and '.join(flag_names(role))}, of which there may be one"
    if target is None or not is_iterator(target):
        return "iter-arg", "does not take a pointer to a struct bpf_iter_<type> first"
    if not target.size or target.size % 8:
        return "iter-size", f"iterates in a struct of {target.size} bytes, not a multiple of 8"
    name = f"{target.name}_{_ROLES[role]}"
    if func.name != name[:_LONGEST_NAME]:
        return "iter-name", f"is not called {name}, as {flag_names(role)[0]} asks for"
    if role != ITER_NEW and len(proto.params) != 1:
        return "iter-args", f"has {len(proto.params)} parameters; only bpf_iter_<type>_new may"
    if role == ITER_NEXT and pointee(btf, proto.size_or_type) is None:
        return "iter-return", f"returns {spell(btf, proto.size_or_type)}, not a pointer"
    if role == ITER_DESTROY and proto.size_or_type:
        return "iter-return", f"returns {spell(btf, proto.size_or_type)}, not void"
    return None


def _audit_bits(func: BtfType, flags: int) -> Iterator[Finding]:
    unknown = unknown_bits(flags)
    if unknown:
        text = f"{func.name} has flags that no kernel knows: {unknown:#x}"
        yield _warning("unknown-flags", func, text)
    for flag in FLAGS:
        if flag.until is not None and flags >> flag.bit & 1:
            text = f"{func.name} has {flag.name}, which has no meaning since {flag.until}"
            yield _warning("old-flag", func, text)


def _audit_references(func: BtfType, proto: BtfType, flags: int) -> Iterator[Finding]:
    btf = func.btf
    target = pointee(btf, proto.size_or_type)
    spelt = spell(btf, proto.size_or_type)
    if flags & ACQUIRE and (target is None or target.kind not in COMPOSITES):
        text = f"{func.name} has KF_ACQUIRE but returns {spelt}, not a pointer to a struct"
        yield _error("acquire", func, text + _REFUSED)
    if flags & RET_NULL and (target is None or target.kind is Kind.UNKN):
        text = f"{func.name} has KF_RET_NULL but returns {spelt}, which is not a pointer to the "
        yield _warning("ret-null", func, f"{text}verifier")
    if flags & RELEASE:
        takes = [pointee(btf, param.type) for param in proto.params]
        if all(one is None for one in takes):
            text = f"{func.name} has KF_RELEASE but takes no pointer"
            yield _error("release", func, text + _REFUSED)
        elif all(one is None or one.kind not in COMPOSITES for one in takes):
            text = f"{func.name} has KF_RELEASE but takes no pointer to a struct"
            yield _warning("release", func, text)


def _audit_pairs(func: BtfType, flags: int) -> Iterator[Finding]:
    """Flags that contradict each other, or that a module cannot keep."""
    if flags & TRUSTED_ARGS and flags & RCU:
        text = f"{func.name} has KF_TRUSTED_ARGS and KF_RCU; the weaker KF_RCU is what counts"
        yield _warning("flags", func, text)
    if flags & RELEASE and flags & RCU:
        text = f"{func.name} has KF_RELEASE and KF_RCU, but what it releases must be a reference"
        yield _warning("flags", func, text)
    if flags & SLEEPABLE and flags & RCU_PROTECTED and not flags & _ITER:
        text = f"{func.name} has KF_SLEEPABLE, not to be called in RCU critical sections, and "
        text += "KF_RCU_PROTECTED, to be called only there: since 6.18 no call is accepted"
        yield _warning("flags", func, text)
    if flags & FASTCALL:
        text = f"{func.name} has KF_FASTCALL, which is for what the verifier inlines; the call of "
        text += "a module's function overwrites registers that programs then rely on"
        yield _warning("fastcall", func, text)


def _audit_arena(func: BtfType, proto: BtfType, flags: int) -> Iterator[Finding]:
    types = [proto.size_or_type, *(param.type for param in proto.params[:2])]
    for at, flag in enumerate((ARENA_RET, ARENA_ARG1, ARENA_ARG2)):
        if flags & flag and (at >= len(types) or pointee(func.btf, types[at]) is None):
            what = f"argument {at}" if at else "the result"
            text = f"{func.name} has {flag_names(flag)[0]}, but {what} is not a pointer"
            yield _warning("arena", func, text)


def _audit_implicit(func: BtfType) -> Iterator[Finding]:
    """The verifier takes the whole prototype from ``<name>_impl``, which resolve_btfids makes."""
    impl = func.btf.find(f"{func.name}_impl", Kind.FUNC)
    if impl is None:
        text = f"{func.name} has KF_IMPLICIT_ARGS, but there is no {func.name}_impl in the BTF: "
        text += "kernels since 7.0 refuse every call"
        hint = "make the BTF with resolve_btfids of 7.0 or with kbtf in its place"
        yield _error("implicit-args", func, text, hint)
        return
    proto = unwrap(func.btf, impl.size_or_type)
    last = pointee(func.btf, proto.params[-1].type) if proto.params else None
    if not any(is_named_struct(last, name) for name in _IMPLICIT):
        text = f"{func.name} has KF_IMPLICIT_ARGS, but {impl.name} does not end in an argument "
        yield _warning("implicit-args", func, f"{text}that the verifier passes")


def _error(code: str, func: BtfType, text: str, hint: str | None = None) -> Finding:
    return Finding(Severity.ERROR, code, text, type=func.name, hint=hint)


def _warning(code: str, func: BtfType, text: str) -> Finding:
    return Finding(Severity.WARNING, code, text, type=func.name)
