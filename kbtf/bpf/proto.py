"""Whether a kernel's type serves for the one that a BPF program declares, as libbpf compares them.

Source: libbpf's bpf_core_types_are_compat() (tools/lib/bpf/relo_core.c, shared with the kernel),
bpf_core_essential_name_len(); DOMAIN facts on kfunc calls.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbtf.btf.c_decl import Writer
from kbtf.btf.c_layout import Layout, pointer_size
from kbtf.btf.c_names import Names, identifier
from kbtf.btf.c_order import ENUMS, MODIFIERS, Order, Types
from kbtf.btf.kinds import Kind
from kbtf.errors import BtfError

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, BtfType

_MOST_STEPS = 32
"""How many pointers and arrays are followed, and how deep prototypes may stand in each other."""

_ENDS = (Kind.UNKN, Kind.STRUCT, Kind.UNION, Kind.FWD, *ENUMS)
# The last ___ that has no further underscore beside it, behind something and before something.
_FLAVOUR = re.compile(r"(?s)(.*[^_])___[^_].*")


def essential_name(name: str) -> str:
    """The name without its flavour: ``task_struct`` of ``task_struct___old``."""
    match = _FLAVOUR.fullmatch(name)
    return match[1] if match else name


def skip_modifiers(btf: Btf, type_id: int) -> int:
    """The type behind modifiers, type tags and typedefs; BtfError if they form a ring."""
    start = type_id
    for _ in range(btf.end_id):
        t = _at(btf, type_id)
        if t.kind not in MODIFIERS and t.kind is not Kind.TYPEDEF:
            return type_id
        type_id = t.size_or_type
    raise BtfError("modifiers and typedefs form a ring", where=f"type [{start}]")


def difference(local: Btf, local_id: int, target: Btf, target_id: int) -> str | None:
    """Why the type *target_id* does not serve for *local_id*, or None if it does.

    Both are prototypes, or both types of variables without their modifiers.  Sizes and names are
    no matter, kinds and numbers of arguments are.  BtfError if a type that is met does not exist.
    """
    return _Comparison(local, target).compare(local_id, target_id, _MOST_STEPS, "")


class _Comparison:
    def __init__(self, local: Btf, target: Btf) -> None:
        self._local = local
        self._target = target
        # small BTF can hold prototypes in prototypes without end
        self._known: dict[tuple[int, int, int], str | None] = {}

    def compare(self, local_id: int, target_id: int, level: int, place: str) -> str | None:
        key = local_id, target_id, level
        if key not in self._known:
            self._known[key] = self._compare(local_id, target_id, level, place)
        return self._known[key]

    def _compare(self, local_id: int, target_id: int, level: int, place: str) -> str | None:
        ours, theirs = _at(self._local, local_id), _at(self._target, target_id)
        if not _same_kind(ours, theirs):
            return _differ(place, ours, theirs)
        for _ in range(_MOST_STEPS):
            ours = self._local[skip_modifiers(self._local, local_id)]
            theirs = self._target[skip_modifiers(self._target, target_id)]
            if not _same_kind(ours, theirs):
                return _differ(place, ours, theirs)
            kind = ours.kind
            if kind in _ENDS:
                return None
            if kind is Kind.INT:
                return _compare_ints(place, ours, theirs)
            if kind is Kind.PTR:
                local_id, target_id = ours.size_or_type, theirs.size_or_type
            elif kind is Kind.ARRAY:
                local_id, target_id = ours.words[0], theirs.words[0]
            elif kind is Kind.FUNC_PROTO:
                problem = self._compare_params(ours, theirs, level, place)
                if problem is not None:
                    return problem
                local_id, target_id = ours.size_or_type, theirs.size_or_type
                place = f"{place}return type"
            else:
                return f"{_at_place(place)}{kind.name} '{ours.name}' is of a kind that never fits"
        return f"{_at_place(place)}more than {_MOST_STEPS} pointers or arrays deep"

    def _compare_params(self, ours: BtfType, theirs: BtfType, level: int, place: str) -> str | None:
        if ours.vlen != theirs.vlen:
            return (
                f"{_at_place(place)}{_count(ours)} in the program, {_count(theirs)} in the kernel"
            )
        for number, (mine, other) in enumerate(zip(ours.params, theirs.params, strict=True), 1):
            inner = f"{place}argument {number}"
            if level <= 0:
                return f"{inner}: prototypes more than {_MOST_STEPS} deep in each other"
            problem = self.compare(
                skip_modifiers(self._local, mine.type),
                skip_modifiers(self._target, other.type),
                level - 1,
                f"{inner}, ",
            )
            if problem is not None:
                return problem
        return None


def _at(btf: Btf, type_id: int) -> BtfType:
    if type_id >= btf.end_id:
        raise BtfError("does not exist", where=f"type [{type_id}]")
    return btf[type_id]


def _same_kind(ours: BtfType, theirs: BtfType) -> bool:
    return ours.kind is theirs.kind or (ours.kind in ENUMS and theirs.kind in ENUMS)


def _compare_ints(place: str, ours: BtfType, theirs: BtfType) -> str | None:
    encodings = (ours.int_encoding, theirs.int_encoding)
    if any(encoding is not None and encoding.offset for encoding in encodings):
        return f"{_at_place(place)}an INT that does not start at its first bit"
    return None


def _differ(place: str, ours: BtfType, theirs: BtfType) -> str:
    return f"{_at_place(place)}{_describe(ours)} in the program, {_describe(theirs)} in the kernel"


def _at_place(place: str) -> str:
    return f"{place.removesuffix(', ')}: " if place else ""


def _describe(t: BtfType) -> str:
    if t.kind is Kind.UNKN:
        return "void"
    return f"{t.kind.name} '{t.name}'" if t.name else t.kind.name


def _count(proto: BtfType) -> str:
    return "1 argument" if proto.vlen == 1 else f"{proto.vlen} arguments"


def declaration(btf: Btf, type_id: int, name: str) -> str:
    """*name* declared in C as of a type, in one line where that type has no nameless struct."""
    types = Types(btf)
    layout = Layout(types, pointer_size(btf))
    for t, complete in Order(types).walk(type_id, False):
        if complete:
            layout.add(t)
    return Writer(types, Names(types, set()), layout).declare(type_id, identifier(name))
