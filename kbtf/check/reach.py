# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The types of a kernel whose definitions a module depends on."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.c_type_name import c_name, shown
from kbtf.btf.kinds import COMPOSITES, ENUMS, Kind
from kbtf.check.uses import by_value

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, BtfType

_RECORDED = COMPOSITES | ENUMS | {Kind.TYPEDEF}


class Reached(NamedTuple):
    """The types that a module reaches, by id; distilling makes some typedefs the split's own."""

    types: list[int]
    """Named structs, unions, enums and typedefs."""
    embedded: dict[int, str]
    """Kernel structs that a struct of the module embeds: where, in words."""
    by_value: dict[int, str]
    """Kernel structs that are used by value elsewhere: passed, returned, in variables or arrays."""


class _Where(IntEnum):
    """Where a reference was found; a lower value reaches everything that a higher one does."""

    OWN = 0
    """In the module's types, or in anonymous types within them."""
    INSIDE = 1
    """In a struct of the kernel."""
    BEHIND = 2
    """Behind a pointer in a struct of the kernel."""


def reach(split: Btf) -> Reached:
    """The types of its base that the types and functions of *split* depend on.

    Every named type that they refer to is reached, directly or through pointers, arrays, typedefs
    and prototypes.  A reached struct reaches the types that its members hold by value, and the
    typedefs and enums that the members are declared with.  A struct that only a kernel struct
    points to is not reached: the module might follow that pointer, but counting it would reach
    nearly every type.
    """
    walk = _Walk(split)
    walk.run()
    for t in split:
        if t.kind is Kind.TYPEDEF and t.id not in walk.targets:
            # nothing in BTF uses it: it was the type of a local variable
            walk.note_value(t.size_or_type, f"typedef {shown(t.name)}")
    return Reached(sorted(walk.types), walk.embedded, walk.by_value)


class _Walk:
    def __init__(self, split: Btf) -> None:
        self.split = split
        self.types: set[int] = set()
        self.embedded: dict[int, str] = {}
        self.by_value: dict[int, str] = {}
        self.targets: set[int] = set()
        """The types that the module's types refer to."""
        self._functions: dict[int, str] = {}
        for t in split:
            if t.kind is Kind.FUNC:
                self._functions.setdefault(t.size_or_type, t.name)

    def run(self) -> None:
        met: dict[int, _Where] = {}
        # the last is taken first: functions and structs are visited in the order of their ids
        todo = [
            (at, _Where.OWN) for at in range(self.split.end_id - 1, self.split.start_id - 1, -1)
        ]
        while todo:
            at, where = todo.pop()
            if met.get(at, where + 1) <= where:
                continue
            met[at] = where
            t = self.split[at]
            is_kernels = at < self.split.start_id
            if t.name and t.kind in _RECORDED and (is_kernels or t.kind is Kind.TYPEDEF):
                if where is _Where.BEHIND and t.kind in COMPOSITES:
                    del met[at]
                    continue
                self.types.add(at)
            if where is _Where.OWN and not (is_kernels and t.name):
                self._note_values(t)
            inner = _inner(t, where, is_kernels)
            todo.extend((target, inner) for target in t.children if target)

    def note_value(self, type_id: int, how: str) -> None:
        """A type is used by value outside of structs."""
        self._note(self.by_value, type_id, how)

    def _note_values(self, t: BtfType) -> None:
        self.targets.update(t.children)
        if t.kind in COMPOSITES:
            for member in t.members:
                what = f" (member '{shown(member.name)}')" if member.name else ""
                self._note(self.embedded, member.type, f"embedded in {_owner(t)}{what}")
        elif t.kind is Kind.FUNC_PROTO:
            self._note_prototype(t)
        elif t.kind is Kind.VAR:
            self.note_value(t.size_or_type, f"the type of variable '{shown(t.name)}'")
        elif t.array is not None:
            self.note_value(t.array.type, f"in an array of {t.array.nelems}")

    def _note_prototype(self, proto: BtfType) -> None:
        name = self._functions.get(proto.id)
        function = f"function '{shown(name)}'" if name else "a function pointer"
        for param in proto.params:
            what = f" as '{shown(param.name)}'" if param.name else ""
            self.note_value(param.type, f"passed by value to {function}{what}")
        self.note_value(proto.size_or_type, f"returned by value from {function}")

    def _note(self, uses: dict[int, str], type_id: int, how: str) -> None:
        target = by_value(self.split, type_id)
        if 0 < target < self.split.start_id:
            t = self.split[target]
            if t.kind in COMPOSITES and t.name:
                uses.setdefault(target, how)


def _owner(t: BtfType) -> str:
    return c_name(t) if t.name else f"a nameless {t.kind.name.lower()}"


def _inner(t: BtfType, where: _Where, is_kernels: bool) -> _Where:
    """Where the references of a type are that was found at *where*."""
    if where is _Where.OWN:
        return _Where.INSIDE if is_kernels and t.name and t.kind in COMPOSITES else where
    if t.kind is Kind.PTR:
        return _Where.BEHIND
    if t.kind is Kind.FUNC_PROTO or t.kind in COMPOSITES:
        return _Where.INSIDE
    return where
