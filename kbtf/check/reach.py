"""Which types of a kernel a module depends on, with their insides."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from kbtf.btf.kinds import KINDS, Kind
from kbtf.check.uses import by_value, c_name
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf, BtfType

_COMPOSITE = (Kind.STRUCT, Kind.UNION)
_RECORDED = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.TYPEDEF)


class Reached(NamedTuple):
    """What a module reaches, by id; typedefs may be the split's own, where distilling put them."""

    types: list[int]
    """Named structs, unions, enums and typedefs."""
    embedded: dict[int, str]
    """Kernel structs that a struct of the module has by value: where, in words."""
    by_value: dict[int, str]
    """Kernel structs that are passed, returned, stored or lined up by value elsewhere."""


class _Where(IntEnum):
    """Where a reference was met; the lower reaches all that the higher does."""

    OWN = 0
    """In the module's types, or in types without a name that they are made of."""
    INSIDE = 1
    """In a struct of the kernel."""
    BEHIND = 2
    """Behind a pointer in a struct of the kernel."""


def reach(split: Btf) -> Reached:
    """What the types and functions of *split* depend on in the base it stands on.

    Reached is each named type that they refer to, directly or through pointers, arrays, typedefs
    and prototypes.  A reached struct reaches what its members hold by value, and the typedefs and
    enums that they are spelt with.  A struct to which only a kernel struct has a pointer is not
    reached: the module might follow that pointer, but hardly any type would then be left out.
    """
    walk = _Walk(split)
    walk.run()
    for t in split:
        if t.kind is Kind.TYPEDEF and t.id not in walk.targets:
            # nothing in BTF is made of it: it was the type of a local variable
            walk.note_value(t.size_or_type, f"typedef {t.name}")
    return Reached(sorted(walk.types), walk.embedded, walk.by_value)


def references(t: BtfType) -> Iterator[int]:
    """The ids that a type refers to, void left out."""
    info = KINDS[t.kind]
    if info.is_ref and t.size_or_type:
        yield t.size_or_type
    for at in info.id_words(len(t.words)):
        if t.words[at]:
            yield t.words[at]


class _Walk:
    def __init__(self, split: Btf) -> None:
        self.split = split
        self.types: set[int] = set()
        self.embedded: dict[int, str] = {}
        self.by_value: dict[int, str] = {}
        self.targets: set[int] = set()
        """What any type of the module's refers to."""
        self._functions: dict[int, str] = {}
        for t in split:
            if t.kind is Kind.FUNC:
                self._functions.setdefault(t.size_or_type, t.name)

    def run(self) -> None:
        met: dict[int, _Where] = {}
        # the last is taken first: functions and structs are gone through in the order of their ids
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
                if where is _Where.BEHIND and t.kind in _COMPOSITE:
                    del met[at]
                    continue
                self.types.add(at)
            if where is _Where.OWN and not (is_kernels and t.name):
                self._note_values(t)
            inner = _inner(t, where, is_kernels)
            todo.extend((target, inner) for target in references(t))

    def note_value(self, type_id: int, how: str) -> None:
        """A type is used by value outside of structs."""
        self._note(self.by_value, type_id, how)

    def _note_values(self, t: BtfType) -> None:
        self.targets.update(references(t))
        if t.kind in _COMPOSITE:
            for member in t.members:
                what = f" (member '{member.name}')" if member.name else ""
                self._note(self.embedded, member.type, f"embedded in {_owner(t)}{what}")
        elif t.kind is Kind.FUNC_PROTO:
            self._note_prototype(t)
        elif t.kind is Kind.VAR:
            self.note_value(t.size_or_type, f"the type of variable '{t.name}'")
        elif t.array is not None:
            self.note_value(t.array.type, f"in an array of {t.array.nelems}")

    def _note_prototype(self, proto: BtfType) -> None:
        name = self._functions.get(proto.id)
        function = f"function '{name}'" if name else "a function pointer"
        for param in proto.params:
            what = f" as '{param.name}'" if param.name else ""
            self.note_value(param.type, f"passed by value to {function}{what}")
        self.note_value(proto.size_or_type, f"returned by value from {function}")

    def _note(self, uses: dict[int, str], type_id: int, how: str) -> None:
        target = by_value(self.split, type_id)
        if 0 < target < self.split.start_id:
            t = self.split[target]
            if t.kind in _COMPOSITE and t.name:
                uses.setdefault(target, how)


def _owner(t: BtfType) -> str:
    return c_name(t) if t.name else f"a nameless {t.kind.name.lower()}"


def _inner(t: BtfType, where: _Where, is_kernels: bool) -> _Where:
    """Where the references of a type are, that was met at *where*."""
    if where is _Where.OWN:
        return _Where.INSIDE if is_kernels and t.name and t.kind in _COMPOSITE else where
    if t.kind is Kind.PTR:
        return _Where.BEHIND
    if t.kind is Kind.FUNC_PROTO or t.kind in _COMPOSITE:
        return _Where.INSIDE
    return where
