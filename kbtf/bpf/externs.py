# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The externs of a BPF object: undefined symbols that its BTF places in ``.ksyms``.

Source: tools/lib/bpf/libbpf.c (bpf_object__collect_externs, find_extern_btf_id, cmp_externs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.bpf.proto import essential_name
from kbtf.btf.kinds import Kind
from kbtf.errors import BtfError, LoaderError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.btf.btf import Btf, BtfType

KSYMS = ".ksyms"
KCONFIG = ".kconfig"

_EXTERN = 2  # the linkage of a VAR or FUNC
_NO_ALIGNMENT = 0


class Symbol(NamedTuple):
    """A symbol of an object file; types and bindings have their names in elf.h."""

    name: str
    section: int | None
    """The number of its section: 0 if it is undefined, None if it is in no section."""
    type: str | int
    bind: str | int
    value: int
    size: int


class Extern(NamedTuple):
    """A function, variable or value that the kernel has to provide."""

    name: str
    symbol: int
    """The number of its symbol."""
    section: str
    """``.ksyms``, or ``.kconfig`` for a value of the kernel's configuration."""
    kind: Kind
    """FUNC or VAR."""
    type_id: int
    """A function's prototype or a variable's type, without modifiers; 0 if it is typeless."""
    is_weak: bool

    @property
    def is_typeless(self) -> bool:
        """``extern const void name __ksym``: an address from kallsyms."""
        return self.type_id == 0

    @property
    def essential_name(self) -> str:
        """The name that libbpf looks for: a function's without its flavour."""
        return essential_name(self.name) if self.kind is Kind.FUNC else self.name


def read_externs(symbols: Iterable[Symbol], btf: Btf | None) -> tuple[Extern, ...]:
    """The externs in the order in which libbpf resolves and counts them.

    BtfError or LoaderError if libbpf would not open the object.
    """
    undefined = [(at, symbol) for at, symbol in enumerate(symbols) if _is_extern(symbol)]
    if not undefined:
        return ()
    if btf is None:
        raise BtfError(
            f"has externs ({undefined[0][1].name}) but no section .BTF", hint="compile it with -g"
        )
    sections = _sections(btf)
    declared = _declarations(btf, {symbol.name for _, symbol in undefined})
    externs = [_extern(at, symbol, btf, declared, sections) for at, symbol in undefined]
    _check_complete(btf, externs)
    keys = {extern.symbol: _sort_key(extern, btf) for extern in externs}
    return tuple(sorted(externs, key=lambda extern: keys[extern.symbol]))


def _is_extern(symbol: Symbol) -> bool:
    known = symbol.bind in ("STB_GLOBAL", "STB_WEAK") and symbol.type == "STT_NOTYPE"
    return symbol.section == 0 and known and bool(symbol.name)


def _declarations(btf: Btf, names: set[str]) -> dict[str, BtfType]:
    found = {name: btf.find(name, Kind.VAR, Kind.FUNC) for name in names}
    return {name: t for name, t in found.items() if t is not None}


def _sections(btf: Btf) -> dict[int, BtfType]:
    """The first DATASEC that contains each variable or function."""
    sections: dict[int, BtfType] = {}
    for t in btf:
        if t.kind is Kind.DATASEC:
            for type_id in t.words[::3]:
                sections.setdefault(type_id, t)
    return sections


def _extern(
    at: int,
    symbol: Symbol,
    btf: Btf,
    declared: dict[str, BtfType],
    sections: dict[int, BtfType],
) -> Extern:
    where = f"extern {symbol.name}"
    t = declared.get(symbol.name)
    if t is None:
        raise BtfError("is not in the object's .BTF", where=where, hint="compile it with -g")
    if t.linkage != _EXTERN:
        raise BtfError(f"type [{t.id}] of .BTF says that it is not an extern", where=where)
    section = sections.get(t.id)
    if section is None or section.name not in (KSYMS, KCONFIG):
        place = f"section {section.name}" if section is not None else "no section"
        raise LoaderError(
            f"is in {place}: another object must define it, so libbpf does not open this one",
            where=where,
            hint="link the two with 'bpftool gen object' first",
        )
    if section.name == KCONFIG and t.kind is Kind.FUNC:
        raise BtfError("is a function in .kconfig", where=where, hint="declare it with __ksym")
    type_id = btf.skip(t.size_or_type).id
    is_weak = symbol.bind == "STB_WEAK"
    return Extern(t.name, at, section.name, t.kind, type_id, is_weak)


def _check_complete(btf: Btf, externs: list[Extern]) -> None:
    """Everything in ``.ksyms`` needs a symbol; stripping may have removed it."""
    names = {extern.name for extern in externs}
    wanted = {extern.section for extern in externs}
    for section in btf.find_all(KSYMS, Kind.DATASEC) + btf.find_all(KCONFIG, Kind.DATASEC):
        for type_id in section.words[::3] if section.name in wanted else ():
            if type_id >= btf.end_id:
                raise BtfError(f"type [{type_id}] does not exist", where=f"DATASEC {section.name}")
            if btf[type_id].name not in names:
                raise BtfError("has no symbol", where=f"extern {btf[type_id].name}")


def _sort_key(extern: Extern, btf: Btf) -> tuple[int, int, int, bytes]:
    """Values of the configuration come first: largest alignment, then smallest size."""
    name = extern.name.encode("utf-8", "surrogateescape")
    if extern.section == KSYMS:
        return 1, _NO_ALIGNMENT, 0, name
    size, align = _measure(btf, extern.type_id)
    return 0, -align, size, name


def _measure(btf: Btf, type_id: int) -> tuple[int, int]:
    """Size and alignment of a type allowed in ``.kconfig``: an INT, an enum, an array of char."""
    t = btf[type_id]
    if t.kind is Kind.ARRAY:
        element = btf.skip(t.words[0])
        size = element.size or 0
        return size * t.words[2], min(size, 8)
    return t.size or 0, min(t.size or 0, 8)


def ksyms(externs: Iterable[Extern]) -> Iterator[tuple[int, Extern]]:
    """The externs that the kernel's BTF or kallsyms resolve, with their numbers."""
    return ((number, extern) for number, extern in enumerate(externs) if extern.section == KSYMS)
