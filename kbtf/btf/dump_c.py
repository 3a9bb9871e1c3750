"""BTF as C: a header like the vmlinux.h of ``bpftool btf dump file X format c``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.c_decl import Writer
from kbtf.btf.c_layout import Layout, pointer_size
from kbtf.btf.c_names import Names, identifier
from kbtf.btf.c_order import COMPOSITES, ENUMS, Order, Types
from kbtf.btf.kinds import KFUNC_TAG, Kind
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf, BtfType

_HEAD = """\
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

"""
_KFUNCS_HEAD = """\
/* BPF kfuncs */
#ifndef BPF_NO_KFUNC_PROTOTYPES
"""
_KFUNCS_END = """\
#endif

"""
_END = """\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
"""


class _Kfunc(NamedTuple):
    func: BtfType
    fastcall: bool


def dump_c(btf: Btf) -> str:
    """A header with the own types of *btf*, and of its base what these need.

    Sizes and offsets are those of the BTF, which compilers can be asked to confirm.  BtfError if
    a type is such that C has no words for it.
    """
    return "".join(_parts(btf))


def _parts(btf: Btf) -> Iterator[str]:
    types = Types(btf)
    kfuncs = _kfuncs(types)
    names = _names(types, kfuncs)
    layout = Layout(types, pointer_size(btf))
    writer = Writer(types, names, layout)
    yield _HEAD
    yield from _definitions(types, names, layout, writer, kfuncs)
    if kfuncs:
        yield _KFUNCS_HEAD
        for func, fastcall in kfuncs:
            prototype = writer.declare(func.size_or_type, identifier(func.name))
            yield f"extern {prototype} __weak __ksym{' __bpf_fastcall' if fastcall else ''};\n"
        yield _KFUNCS_END
    yield _END


def _kfuncs(types: Types) -> list[_Kfunc]:
    """The functions that have the tag ``bpf_kfunc``, each name once."""
    found: dict[str, int] = {}
    fast = set()
    for t in types.btf:
        if t.kind is Kind.DECL_TAG and t.component_idx == -1:
            func = types[t.size_or_type]
            if t.name == KFUNC_TAG and func.kind is Kind.FUNC:
                found.setdefault(func.name, func.id)
            elif t.name == "bpf_fastcall":
                fast.add(func.id)
    return [_Kfunc(types[type_id], type_id in fast) for type_id in found.values()]


def _names(types: Types, kfuncs: list[_Kfunc]) -> Names:
    """Names that do not depend on what refers to what: own types come before those of the base."""
    names = Names(types, {identifier(kfunc.func.name) for kfunc in kfuncs})
    for t in types.btf:
        if t.name and (t.kind in COMPOSITES or t.kind in ENUMS):
            names.tag(t)
        elif t.kind is Kind.TYPEDEF:
            names.ident(t)
    return names


def _definitions(
    types: Types, names: Names, layout: Layout, writer: Writer, kfuncs: list[_Kfunc]
) -> list[str]:
    order = Order(types)
    written: list[str] = []
    announced: set[str] = set()
    for t, complete in _walk(types.btf, order, kfuncs):
        if complete:
            layout.add(t)
        text = ""
        if t.kind is Kind.FWD or (t.kind in COMPOSITES and t.name):
            announcement = f"{names.tag(t)};\n\n"
            if complete:
                text = writer.definition(t)
                if written and written[-1] == announcement:
                    written.pop()  # right before the definition it says nothing
            elif announcement not in announced:
                text = announcement
            announced.add(announcement)
        elif t.kind is Kind.TYPEDEF:
            text = "" if complete else writer.definition(t)
        elif t.kind in (Kind.INT, Kind.FLOAT) or (t.kind in ENUMS and t.name):
            text = writer.definition(t)
        if text:
            written.append(text)
    written += [writer.definition(t) for t in types.btf if _is_for_its_values(t, order)]
    return written


def _walk(btf: Btf, order: Order, kfuncs: list[_Kfunc]) -> Iterator[tuple[BtfType, bool]]:
    """All types to be written, in an order that C takes, and what they need besides."""
    for t in btf:
        if t.name and (t.kind in COMPOSITES or t.kind in ENUMS):
            yield from order.walk(t.id, True)
        elif t.kind in (Kind.TYPEDEF, Kind.FWD):
            yield from order.walk(t.id, False)
    for kfunc in kfuncs:
        yield from order.walk(kfunc.func.size_or_type, False)


def _is_for_its_values(t: BtfType, order: Order) -> bool:
    """An enum without a name that nothing is made of, the way headers define constants."""
    return t.kind in ENUMS and not t.name and not order.has(t.id)
