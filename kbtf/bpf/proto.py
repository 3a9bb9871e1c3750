# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whether a kernel's type is compatible with a BPF program's declaration, as libbpf compares them.

Source: libbpf's bpf_core_types_are_compat() (tools/lib/bpf/relo_core.c, shared with the kernel),
bpf_core_essential_name_len().
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.dump.c.declarations import Writer
from kbtf.btf.dump.c.layout import Layout, pointer_size
from kbtf.btf.dump.c.names import Names, identifier
from kbtf.btf.dump.c.order import Order, Types
from kbtf.btf.kinds import COMPOSITES, ENUMS, MODIFIERS, Kind
from kbtf.errors import BtfError

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, BtfType

_MOST_STEPS = 32
"""How many pointers and arrays are followed, and how deeply prototypes may nest."""

_Place = tuple[str, ...]
_ENDS = COMPOSITES | ENUMS | {Kind.UNKN, Kind.FWD}
# The last ___ with no further underscore next to it, and with text before and after it.
_FLAVOUR = re.compile(r"(?s)(.*[^_])___[^_].*")


def essential_name(name: str) -> str:
    """The name without its flavour: ``task_struct`` of ``task_struct___old``."""
    match = _FLAVOUR.fullmatch(name)
    return match[1] if match else name


class Difference(NamedTuple):
    """How two prototypes, or types of variables, are incompatible."""

    place: tuple[str, ...]
    """``argument 2``, then the place within it; empty for the whole."""
    program: str
    """The program's side; or, without *kernel*, what is wrong with both."""
    kernel: str | None = None

    def told(self, one: str, other: str) -> str:
        """In words; *one* and *other* are the names of the two sides."""
        place = f"{', '.join(self.place)}: " if self.place else ""
        if self.kernel is None:
            return f"{place}{self.program}"
        return f"{place}{self.program} {one}, {self.kernel} {other}"

    def __str__(self) -> str:
        return self.told("in the program", "in the kernel")


def difference(local: Btf, local_id: int, target: Btf, target_id: int) -> Difference | None:
    """Why the type *target_id* is incompatible with *local_id*, or None if it is compatible.

    Both are prototypes, or both types of variables without their modifiers.  Kinds and numbers of
    arguments are compared, sizes and names are not.  BtfError if a referenced type does not exist.
    """
    return _Comparison(local, target).compare(local_id, target_id, _MOST_STEPS, ())


class _Comparison:
    def __init__(self, local: Btf, target: Btf) -> None:
        self._local = local
        self._target = target
        # small BTF can nest prototypes endlessly
        self._known: dict[tuple[int, int, int], Difference | None] = {}

    def compare(
        self, local_id: int, target_id: int, level: int, place: _Place
    ) -> Difference | None:
        key = local_id, target_id, level
        if key not in self._known:
            self._known[key] = self._compare(local_id, target_id, level, place)
        return self._known[key]

    def _compare(
        self, local_id: int, target_id: int, level: int, place: _Place
    ) -> Difference | None:
        ours, theirs = _at(self._local, local_id), _at(self._target, target_id)
        if not _same_kind(ours, theirs):
            return _differ(place, ours, theirs)
        for _ in range(_MOST_STEPS):
            ours, theirs = self._local.skip(local_id), self._target.skip(target_id)
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
                place = (*place, "return type")
            elif kind in MODIFIERS:
                raise BtfError("modifiers and typedefs form a cycle", where=f"type [{ours.id}]")
            else:
                what = f"{kind.name} '{ours.name}' is of a kind that never fits"
                return Difference(place, what)
        return Difference(place, f"more than {_MOST_STEPS} pointers or arrays deep")

    def _compare_params(
        self, ours: BtfType, theirs: BtfType, level: int, place: _Place
    ) -> Difference | None:
        if ours.vlen != theirs.vlen:
            return Difference(place, _count(ours), _count(theirs))
        for number, (mine, other) in enumerate(zip(ours.params, theirs.params, strict=True), 1):
            inner = (*place, f"argument {number}")
            if level <= 0:
                return Difference(inner, f"prototypes more than {_MOST_STEPS} deep in each other")
            problem = self.compare(
                self._local.skip(mine.type).id,
                self._target.skip(other.type).id,
                level - 1,
                inner,
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


def _compare_ints(place: _Place, ours: BtfType, theirs: BtfType) -> Difference | None:
    encodings = (ours.int_encoding, theirs.int_encoding)
    if any(encoding is not None and encoding.offset for encoding in encodings):
        return Difference(place, "an INT that does not start at its first bit")
    return None


def _differ(place: _Place, ours: BtfType, theirs: BtfType) -> Difference:
    return Difference(place, _describe(ours), _describe(theirs))


def _describe(t: BtfType) -> str:
    if t.kind is Kind.UNKN:
        return "void"
    return f"{t.kind.name} '{t.name}'" if t.name else t.kind.name


def _count(proto: BtfType) -> str:
    return "1 argument" if proto.vlen == 1 else f"{proto.vlen} arguments"


def declaration(btf: Btf, type_id: int, name: str) -> str:
    """The C declaration of *name* with a type: one line unless the type has a nameless struct."""
    types = Types(btf)
    pointer = pointer_size(btf)
    layout = Layout(types, pointer)
    for t, complete in Order(types).walk(type_id, False):
        if complete:
            layout.add(t)
    writer = Writer(types, Names(types, pointer), layout, pointer)
    return writer.declare(type_id, identifier(name))
