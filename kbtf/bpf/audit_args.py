"""The arguments and the result of a kfunc, as the verifier takes them or not.

Source: btf_distill_func_proto() in kernel/bpf/btf.c; check_kfunc_args(), get_kfunc_ptr_arg_type()
and check_kfunc_call() in kernel/bpf/verifier.c, 6.12.  A finding is an error where every call is
refused, whatever a program passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.bpf.audit_types import (
    COMPOSITES,
    SCALARS,
    is_iterator,
    is_named_struct,
    is_scalar,
    pointee,
    unwrap,
)
from kbtf.bpf.suffixes import Fits, suffix_of, unknown_suffix
from kbtf.btf.kinds import Kind
from kbtf.check.model import Finding, Severity
from kbtf.check.spell import counted, spell
from kbtf.kfunc_flags import ARENA_ARG1, ARENA_ARG2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kbtf.bpf.suffixes import Suffix
    from kbtf.btf.btf import Btf, BtfType, Param

_MOST_ARGS = 5  # MAX_BPF_FUNC_REG_ARGS: registers R1 to R5
_WIDEST_ARG = 16  # bytes of a struct that is passed by value
_RETURN_BUFFER = ("rdonly_buf_size", "rdwr_buf_size")
_SIZES = ("__sz", "__szk")
# With these the verifier does not look at what the pointer points to.
_UNTYPED = ("__alloc", "__refcounted_kptr", "__str", "__map", "__iter", "__irq_flag", "__prog")


def audit_args(func: BtfType, proto: BtfType, flags: int) -> Iterator[Finding]:
    """What is wrong with the parameters of a kfunc."""
    params = proto.params
    if params and params[-1].type == 0:
        text = f"{func.name} takes variable arguments, which no BPF program can pass"
        yield _error("variadic", func, text)
        params = params[:-1]
    if len(params) > _MOST_ARGS:
        text = f"{func.name} has {len(params)} parameters; BPF programs pass {_MOST_ARGS} at most"
        yield _error("too-many-args", func, text)
    for at, param in enumerate(params):
        yield from _audit_type(func, params, at, flags)
        suffix = suffix_of(param.name)
        if suffix is not None:
            yield from _audit_suffix(func, params, at, suffix)
        elif ending := unknown_suffix(param.name):
            text = f"parameter '{param.name}' of {func.name}: kernels know no suffix {ending}"
            yield Finding(Severity.NOTE, "unknown-suffix", text, type=func.name)
    yield from _audit_constants(func, params)


def audit_result(func: BtfType, proto: BtfType) -> Iterator[Finding]:
    """What is wrong with what a kfunc returns."""
    btf = func.btf
    result = unwrap(btf, proto.size_or_type)
    spelt = spell(btf, proto.size_or_type)
    target = pointee(btf, proto.size_or_type)
    if result.kind is Kind.STRUCT:
        text = f"{func.name} returns {spelt} by value; the verifier refuses every call"
        yield _error("return-type", func, text)
    elif target is not None and target.kind in (Kind.FWD, Kind.FUNC_PROTO):
        text = f"{func.name} returns {spelt}, and what that points to has no size; "
        yield _error("return-type", func, text + "the verifier refuses every call")
    elif result.kind in (Kind.UNION, Kind.FLOAT):
        text = f"{func.name} returns {spelt}, which BPF programs cannot read"
        yield _warning("return-type", func, text)
    elif result.kind in SCALARS and result.size_or_type < 4:
        text = f"{func.name} returns {spelt}: the compiler of the kernel leaves the upper bits of "
        text += "the register undefined, and BPF programs test them"
        yield _warning("narrow-return", func, text, "return int")


def _audit_type(func: BtfType, params: Sequence[Param], at: int, flags: int) -> Iterator[Finding]:
    btf, param = func.btf, params[at]
    argument = unwrap(btf, param.type)
    suffix = suffix_of(param.name)
    ignored = suffix is not None and suffix.fits is Fits.ANY
    what = f"parameter '{param.name}' of {func.name}"
    refused = "; the verifier refuses every call"
    if argument.kind in SCALARS:
        return
    if argument.kind is not Kind.PTR:
        if not ignored or (argument.size or 0) > _WIDEST_ARG or not argument.id:
            text = f"{what} is {spell(btf, param.type)}, neither an integer nor a pointer{refused}"
            yield _error("arg-type", func, text)
        return
    target = unwrap(btf, argument.size_or_type)
    if ignored or target.kind in (*COMPOSITES, *SCALARS, Kind.FUNC_PROTO):
        return
    if suffix is not None and suffix.text in _UNTYPED:
        return
    if target.kind is Kind.UNKN:
        if not _is_sized(btf, params, at) and not _is_arena(at, flags):
            yield _void(func, what, is_nullable=suffix is not None and suffix.text == "__nullable")
        return
    text = f"{what} is {spell(btf, param.type)}, which points neither to integers nor to a struct "
    text += "that is defined"
    yield _error("arg-type", func, text + refused)


def _void(func: BtfType, what: str, *, is_nullable: bool) -> Finding:
    text = f"{what} points to void and no __sz or __szk follows; the verifier refuses every call"
    hint = "name what it points to, or end its name in __ign"
    if is_nullable:
        return _warning("arg-void", func, f"{text} with anything but NULL", hint)
    return _error("arg-void", func, text, hint)


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


def _audit_suffix(
    func: BtfType, params: Sequence[Param], at: int, suffix: Suffix
) -> Iterator[Finding]:
    if _suits(func.btf, params, at, suffix.fits):
        return
    param = params[at]
    text = f"parameter '{param.name}' of {func.name}: {suffix.text} is for {suffix.fits.value}"
    if suffix.fits is not Fits.NEVER:
        text += f", and this is {spell(func.btf, param.type)}"
    if suffix.is_fatal:
        yield _error("suffix", func, f"{text}; the verifier refuses every call")
    else:
        yield _warning("suffix", func, text)


def _suits(btf: Btf, params: Sequence[Param], at: int, fits: Fits) -> bool:
    """Whether a parameter is what its suffix is for."""
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
            return is_named_struct(target, "bpf_dynptr")
        case Fits.MAP:
            is_void = target is not None and target.kind is Kind.UNKN
            return is_void or is_named_struct(target, "bpf_map")
        case Fits.ITERATOR:
            return is_iterator(target)
        case Fits.NEVER:
            return False
        case _:
            return True


def _audit_constants(func: BtfType, params: Sequence[Param]) -> Iterator[Finding]:
    """The verifier keeps one constant a call, and one size of a buffer that is returned."""
    btf = func.btf
    scalars = [param for param in params if is_scalar(btf, param.type)]
    constants = [param for param in scalars if _ends_in(param, "__k")]
    for at, param in enumerate(params[1:]):
        before = pointee(btf, params[at].type)
        is_memory = before is not None and before.kind in (Kind.UNKN, *SCALARS)
        if is_memory and param in scalars and _ends_in(param, "__szk"):
            constants.append(param)
    sizes = [param for param in scalars if param.name in _RETURN_BUFFER]
    for found, what in ((constants, "constant"), (sizes, "size of what it returns")):
        if len(found) > 1:
            names = ", ".join(param.name for param in found)
            text = f"{func.name} has {counted(len(found), 'parameter')} that the verifier would "
            text += f"keep as its one {what} ({names}); it refuses every call"
            yield _error("constants", func, text)


def _error(code: str, func: BtfType, text: str, hint: str | None = None) -> Finding:
    return Finding(Severity.ERROR, code, text, type=func.name, hint=hint)


def _warning(code: str, func: BtfType, text: str, hint: str | None = None) -> Finding:
    return Finding(Severity.WARNING, code, text, type=func.name, hint=hint)
