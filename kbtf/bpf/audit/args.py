# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Rules for the arguments and the result of a kfunc, as the verifier applies them.

Source: btf_distill_func_proto() in kernel/bpf/btf.c; check_kfunc_args(), get_kfunc_ptr_arg_type()
and check_kfunc_call() in kernel/bpf/verifier.c, 6.12; get_kfunc_arg_type() of 7.3.  A finding is an
error if the verifier rejects every call, whatever a program passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.bpf.audit.types import (
    is_iterator,
    is_memory,
    is_named_struct,
    is_scalar,
    is_special,
    pointee,
)
from kbtf.bpf.audit.verifier import DYNPTR, INNER_DYNPTR
from kbtf.bpf.suffixes import Fits, suffix_of, unknown_suffix
from kbtf.btf.c_type_name import spell
from kbtf.btf.kinds import COMPOSITES, SCALARS, Kind
from kbtf.findings.kfuncs import KFUNCS
from kbtf.ids.kfunc_flags import ARENA_ARG1, ARENA_ARG2
from kbtf.say import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kbtf.bpf.audit.verifier import Verifier
    from kbtf.bpf.suffixes import Suffix
    from kbtf.btf.btf import Btf, BtfType, Param
    from kbtf.findings.finding import Finding

_WIDEST_ARG = 16  # bytes of a struct that is passed by value
_RETURN_BUFFER = ("rdonly_buf_size", "rdwr_buf_size")
_SIZES = ("__sz", "__szk")
# With these, the verifier does not check the type of the pointee.
_UNTYPED = (
    "__alloc",
    "__arena",
    "__arena__nullable",
    "__const_map",
    "__irq_flag",
    "__iter",
    "__map",
    "__prog",
    "__refcounted_kptr",
    "__str",
)


def audit_args(func: BtfType, proto: BtfType, flags: int, verifier: Verifier) -> Iterator[Finding]:
    """Findings about the parameters of a kfunc."""
    params = proto.params
    if params and params[-1].type == 0:
        yield KFUNCS.finding("variadic", type=func.name)
        params = params[:-1]
    if len(params) > verifier.most_args:
        numbers = {"number": len(params), "most": verifier.most_args}
        yield KFUNCS.finding("too-many-args", type=func.name, **numbers)
    for at, param in enumerate(params):
        yield from _audit_type(func, params, at, flags, verifier)
        suffix = suffix_of(param.name)
        if suffix is not None:
            yield from _audit_suffix(func, params, at, suffix, verifier)
        elif ending := unknown_suffix(param.name):
            fields = {"param": param.name, "ending": ending}
            yield KFUNCS.finding("unknown-suffix", type=func.name, **fields)
    yield from _audit_constants(func, params, verifier)


def audit_result(func: BtfType, proto: BtfType) -> Iterator[Finding]:
    """Findings about the result of a kfunc."""
    btf = func.btf
    result = btf.skip(proto.size_or_type)
    spelt = spell(btf, proto.size_or_type)
    target = pointee(btf, proto.size_or_type)
    if result.kind is Kind.STRUCT:
        yield KFUNCS.finding("return-type", "struct", type=func.name, spelt=spelt)
    elif target is not None and target.kind in (Kind.FWD, Kind.FUNC_PROTO):
        yield KFUNCS.finding("return-type", "no_size", type=func.name, spelt=spelt)
    elif result.kind in (Kind.UNION, Kind.FLOAT):
        yield KFUNCS.finding("return-type", "unreadable", type=func.name, spelt=spelt)
    elif result.kind in SCALARS and result.size_or_type < 4:
        yield KFUNCS.finding("narrow-return", type=func.name, spelt=spelt)


def _audit_type(
    func: BtfType, params: Sequence[Param], at: int, flags: int, verifier: Verifier
) -> Iterator[Finding]:
    btf, param = func.btf, params[at]
    argument = btf.skip(param.type)
    suffix = _known_suffix(param, verifier)
    ignored = suffix is not None and suffix.fits is Fits.ANY
    if argument.kind in SCALARS:
        return
    about = {"type": func.name, "param": param.name}
    if argument.kind is not Kind.PTR:
        if not ignored or (argument.size or 0) > _WIDEST_ARG or not argument.id:
            yield KFUNCS.finding("arg-type", "value", spelt=spell(btf, param.type), **about)
        return
    target = btf.skip(argument.size_or_type)
    if is_named_struct(target, INNER_DYNPTR) and verifier.dynptr != INNER_DYNPTR and not ignored:
        yield KFUNCS.finding("dynptr", inner=INNER_DYNPTR, outer=DYNPTR, **about)
        return
    if ignored or (suffix is not None and suffix.text in _UNTYPED):
        return
    if target.kind in COMPOSITES:
        sized = verifier.goes_by_types and _is_sized(btf, params, at)
        if sized and not is_memory(target) and not is_special(target):
            yield KFUNCS.finding("arg-type", "sized", spelt=spell(btf, param.type), **about)
        return
    if target.kind in (*SCALARS, Kind.FUNC_PROTO):
        return
    if target.kind is Kind.UNKN:
        if not _is_sized(btf, params, at) and not _is_arena(at, flags):
            may_be_null = suffix is not None and suffix.text == "__nullable"
            nullable = may_be_null and not verifier.goes_by_types
            yield KFUNCS.finding("arg-void", "nullable" if nullable else "any", **about)
        return
    yield KFUNCS.finding("arg-type", "target", spelt=spell(btf, param.type), **about)


def _is_sized(btf: Btf, params: Sequence[Param], at: int) -> bool:
    return (
        at + 1 < len(params)
        and _ends_in(params[at + 1], *_SIZES)
        and is_scalar(btf, params[at + 1].type)
    )


def _is_arena(at: int, flags: int) -> bool:
    return bool(flags & {0: ARENA_ARG1, 1: ARENA_ARG2}.get(at, 0))


def _ends_in(param: Param, *suffixes: str) -> bool:
    suffix = suffix_of(param.name)
    return suffix is not None and suffix.text in suffixes


def _known_suffix(param: Param, verifier: Verifier) -> Suffix | None:
    suffix = suffix_of(param.name)
    return suffix if suffix and verifier.knows(suffix.since, suffix.until) else None


def _audit_suffix(
    func: BtfType, params: Sequence[Param], at: int, suffix: Suffix, verifier: Verifier
) -> Iterator[Finding]:
    param = params[at]
    about = {"type": func.name, "param": param.name, "suffix": suffix.text}
    if verifier.is_past(suffix.until):
        yield KFUNCS.finding("suffix", "until", release=suffix.until, **about)
    elif not verifier.knows(suffix.since):
        yield KFUNCS.finding("suffix", "since", release=suffix.since, **about)
    elif suffix.fits is Fits.NEVER:
        yield KFUNCS.finding("suffix", "never", fits=suffix.fits.value, **about)
    elif not _suits(func.btf, params, at, suffix.fits, verifier.dynptr):
        case = "refused" if suffix.is_fatal else "ignored"
        spelt = spell(func.btf, param.type)
        yield KFUNCS.finding("suffix", case, fits=suffix.fits.value, spelt=spelt, **about)


def _suits(btf: Btf, params: Sequence[Param], at: int, fits: Fits, dynptr: str) -> bool:
    """Whether a parameter has the type that its suffix applies to."""
    type_id = params[at].type
    target = pointee(btf, type_id)
    match fits:
        case Fits.SCALAR:
            return is_scalar(btf, type_id)
        case Fits.SIZE:
            before = pointee(btf, params[at - 1].type) if at else None
            return is_scalar(btf, type_id) and before is not None
        case Fits.SIZED:
            return target is not None and _is_sized(btf, params, at)
        case Fits.POINTER:
            return target is not None
        case Fits.STRING:
            return target is not None and target.kind is Kind.INT and target.size == 1
        case Fits.DYNPTR:
            return is_named_struct(target, dynptr)
        case Fits.MAP:
            is_void = target is not None and target.kind is Kind.UNKN
            return is_void or is_named_struct(target, "bpf_map")
        case Fits.ITERATOR:
            return is_iterator(target)
        case Fits.NEVER:
            return False
        case _:
            return True


def _audit_constants(
    func: BtfType, params: Sequence[Param], verifier: Verifier
) -> Iterator[Finding]:
    """The verifier keeps one constant per call, and one size of a returned buffer."""
    btf = func.btf
    scalars = [param for param in params if is_scalar(btf, param.type)]
    constants = [param for param in scalars if _ends_in(param, "__k")]
    for at, param in enumerate(params[1:]):
        before = pointee(btf, params[at].type)
        sizes_memory = before is not None and before.kind in (Kind.UNKN, *SCALARS)
        counts = sizes_memory or verifier.goes_by_types
        if counts and param in scalars and _ends_in(param, "__szk"):
            constants.append(param)
    sizes = [param for param in scalars if param.name in _RETURN_BUFFER]
    for found, what in ((constants, "constant"), (sizes, "size of what it returns")):
        if len(found) > 1:
            names = ", ".join(param.name for param in found)
            number = counted(len(found), "parameter")
            fields = {"number": number, "what": what, "names": names}
            yield KFUNCS.finding("constants", type=func.name, **fields)
