# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF as C: a header like the vmlinux.h of ``bpftool btf dump file X format c``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.dump.c.declarations import Writer
from kbtf.btf.dump.c.definitions import Definitions
from kbtf.btf.dump.c.expressible import expressible
from kbtf.btf.dump.c.layout import Layout, pointer_size
from kbtf.btf.dump.c.names import Names, identifier
from kbtf.btf.dump.c.order import Types, all_types
from kbtf.btf.kinds import COMPOSITES, ENUMS, KFUNC_TAG, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from kbtf.btf.btf import Btf, BtfType
    from kbtf.btf.dump.c.expressible import Expressible

_VMLINUX = "vmlinux"
_MACROS = """\
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
_END_IF = """\
#endif

"""
_IF_RECORDS = """\
#if defined(__clang__) && defined(__bpf__) && !defined(BPF_NO_PRESERVE_ACCESS_INDEX)
"""
_PUSH = """\
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
"""
_POP = """\
#pragma clang attribute pop
"""


class Contents(NamedTuple):
    """The contents of a header."""

    name: str = "module"
    """The module's, for the include guard."""
    own_only: bool = False
    """Only the own types of split BTF: the header is included after a vmlinux.h."""
    kfuncs: Collection[str] = ()
    """Functions that are kfuncs, in addition to those with the tag ``bpf_kfunc``."""
    weak: bool = False
    """Whether programs may load on kernels that lack a kfunc."""


class _Kfunc(NamedTuple):
    func: BtfType
    fastcall: bool


def dump_c(btf: Btf, contents: Contents | None = None) -> str:
    """A header with the own types of *btf*, and the types of its base that they lead to.

    It can be used alone or after the base's header, whose types it then uses.  Sizes and offsets
    are those of the BTF, on every machine with pointers of that size.  What is of an unknown kind
    is left out and named in a comment.  BtfError if C cannot express a type of a known kind.
    """
    return "".join(_parts(btf, contents or Contents()))


def _parts(whole: Btf, contents: Contents) -> Iterator[str]:
    written = expressible(whole)
    btf = written.btf
    types = Types(btf)
    pointer = pointer_size(btf)
    kfuncs = _kfuncs(types, contents.kfuncs)
    names = _names(types, pointer, kfuncs)
    layout = Layout(types, pointer)
    writer = Writer(types, names, layout, pointer)
    definitions = Definitions(types, names, layout, writer, [kfunc.func for kfunc in kfuncs])
    name = contents.name if contents.name != _VMLINUX else "module"
    guard = _guard(_VMLINUX if btf.base is None else name)
    yield f"#ifndef {guard}\n#define {guard}\n\n"
    if written.unknown:
        there = {kfunc.func.name for kfunc in kfuncs}
        wanted = [kfunc.func.name for kfunc in _kfuncs(Types(whole), contents.kfuncs)]
        yield _left_out(written, [name for name in wanted if name not in there])
    yield _MACROS
    if btf.base is not None and not contents.own_only:
        of_base = _with_access_index(definitions.of_base(), writer)
        if of_base:
            yield f"#ifndef {_guard(_VMLINUX)}\n\n{of_base}#endif /* {_guard(_VMLINUX)} */\n\n"
    names.forget_chosen()
    yield _with_access_index(definitions.own(), writer)
    if kfuncs:
        yield _KFUNCS_HEAD
        for func, fastcall in kfuncs:
            prototype = writer.declare(func.size_or_type, names.function(func.name))
            words = f"{'__weak ' if contents.weak else ''}__ksym"
            yield f"extern {prototype} {words}{' __bpf_fastcall' if fastcall else ''};\n"
        yield _END_IF
    yield f"#endif /* {guard} */\n"


def _guard(name: str) -> str:
    return f"__{re.sub(r'[^A-Z0-9]', '_', name.upper())}_H__"


def _left_out(written: Expressible, kfuncs: list[str]) -> str:
    """A comment about what the header lacks because of unknown kinds."""
    unknown = " and ".join(written.unknown)
    lines = [f"kbtf does not know {unknown}: pointers to types of it are pointers to void."]
    left_out = [*written.left_out, *(f"kfunc {identifier(name)}" for name in kfuncs)]
    if left_out:
        lines += ["Left out are:", *left_out]
    return "".join(["/*\n", *(f" * {line}\n" for line in lines), " */\n\n"])


def _with_access_index(lines: list[str], writer: Writer) -> str:
    """Definitions with accesses that a loader can relocate; clang warns if there are no structs."""
    text = "".join(lines)
    if not writer.take_records():
        return text
    return f"{_IF_RECORDS}{_PUSH}{_END_IF}{text}{_IF_RECORDS}{_POP}{_END_IF}"


def _kfuncs(types: Types, others: Collection[str]) -> list[_Kfunc]:
    """The own functions that are in *others* or have the tag ``bpf_kfunc``, each name once."""
    found: dict[str, int] = {}
    fast = set()
    for t in types.btf:
        if t.kind is Kind.FUNC and t.name in others:
            found.setdefault(t.name, t.id)
        elif t.kind is Kind.DECL_TAG and t.component_idx == -1:
            func = types[t.size_or_type]
            if t.name == KFUNC_TAG and func.kind is Kind.FUNC:
                found.setdefault(func.name, func.id)
            elif t.name == "bpf_fastcall":
                fast.add(func.id)
    return [_Kfunc(types[type_id], type_id in fast) for type_id in found.values()]


def _names(types: Types, pointer: int, kfuncs: list[_Kfunc]) -> Names:
    """Names that do not depend on references: those of the base as in the base's header."""
    names = Names(types, pointer)
    for kfunc in kfuncs:
        names.function(kfunc.func.name)
    for t in all_types(types.btf):
        if t.name and (t.kind in COMPOSITES or t.kind in ENUMS):
            names.tag(t)
        elif t.kind is Kind.TYPEDEF:
            names.ident(t)
        if t.kind in ENUMS and t.id < types.btf.start_id:
            names.choose_enumerators(t)
    return names
