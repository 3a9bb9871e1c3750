"""In which order types have to stand in C, and which need declaring before they are defined.

A type is needed in one of two ways: *complete*, where its size counts (a member, an element of an
array), or merely *declared*, behind a pointer or in a prototype.  An anonymous struct is written
where it is used, so that what it holds is needed complete even behind a pointer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.btf import Btf, BtfType
from kbtf.btf.kinds import Kind
from kbtf.errors import BtfError

if TYPE_CHECKING:
    from collections.abc import Iterator

    Need = tuple[int, bool]
    """A type, and whether it is needed complete."""

COMPOSITES = (Kind.STRUCT, Kind.UNION)
ENUMS = (Kind.ENUM, Kind.ENUM64)
MODIFIERS = (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG)

_OPEN, _DONE = 1, 2


class Types(dict[int, BtfType]):
    """The types of a BTF and its base by id, each made once."""

    def __init__(self, btf: Btf) -> None:
        super().__init__()
        self.btf = btf

    def __missing__(self, type_id: int) -> BtfType:
        found = self[type_id] = self.btf[type_id]
        return found

    def byte_len(self) -> int:
        """What the types of the BTF and of its base take in it."""
        own = self.btf.index.type_len
        return own if self.btf.base is None else own + self.btf.base.index.type_len

    def behind_fwd(self, fwd: BtfType) -> BtfType | None:
        """The struct or union that a FWD stands for, if it is known."""
        if not fwd.name:
            return None
        return self.btf.find(fwd.name, Kind.UNION if fwd.kind_flag else Kind.STRUCT)

    def behind_names(self, type_id: int) -> BtfType:
        """The type without its modifiers and typedefs, which must not form a ring."""
        t = self[type_id]
        while t.kind in MODIFIERS or t.kind is Kind.TYPEDEF:
            t = self[t.size_or_type]
        return t


def fault(t: BtfType, what: str) -> BtfError:
    """An error about one type."""
    return BtfError(what, where=f"type [{t.id}] '{t.name}'")


class Order:
    """Walks types depth first; each is given out once in a way, after what it needs."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._state: dict[Need, int] = {}

    def has(self, type_id: int) -> bool:
        """Something that was walked needs this type complete, or has it written inside it."""
        return (type_id, True) in self._state

    def walk(self, type_id: int, complete: bool) -> Iterator[tuple[BtfType, bool]]:
        """What must come before *type_id*, then that type itself, as far as it is new."""
        start = self._need(type_id, complete)
        if start is None or start in self._state:
            return
        self._state[start] = _OPEN
        # a stack of our own: chains of types are as long as whoever made them likes
        stack = [(start, self._needs_of(start))]
        while stack:
            need, further = stack[-1]
            for wanted in further:
                state = self._state.get(wanted)
                if state == _OPEN:
                    raise fault(self._types[wanted[0]], "contains itself, which C cannot say")
                if state is None:
                    self._state[wanted] = _OPEN
                    stack.append((wanted, self._needs_of(wanted)))
                    break
            else:
                stack.pop()
                self._state[need] = _DONE
                yield self._types[need[0]], need[1]

    def _need(self, type_id: int, complete: bool) -> Need | None:
        """The need, or None for void; alike where the way of needing makes no difference."""
        if type_id == 0:
            return None
        t = self._types[type_id]
        kind = t.kind
        if kind in MODIFIERS or kind is Kind.TYPEDEF:
            return type_id, complete
        if kind in (Kind.FUNC_PROTO, Kind.FWD):
            return type_id, False
        if kind in COMPOSITES and t.name:
            return type_id, complete
        if kind in (Kind.FUNC, Kind.VAR, Kind.DATASEC, Kind.DECL_TAG):
            raise fault(t, f"a {kind.name} stands where a type should")
        return type_id, True

    def _needs_of(self, need: Need) -> Iterator[Need]:
        for type_id, complete in self._parts(self._types[need[0]], need[1]):
            wanted = self._need(type_id, complete)
            if wanted is not None:
                yield wanted

    def _parts(self, t: BtfType, complete: bool) -> Iterator[Need]:
        kind = t.kind
        if kind is Kind.PTR:
            yield t.size_or_type, False
        elif kind in MODIFIERS:
            yield t.size_or_type, complete
        elif kind is Kind.TYPEDEF:
            yield (t.id, False) if complete else (t.size_or_type, False)
            if complete:
                yield t.size_or_type, True
        elif kind is Kind.ARRAY:
            yield t.words[0], True
        elif kind is Kind.FUNC_PROTO:
            yield t.size_or_type, False
            yield from ((type_id, False) for type_id in t.words[1::2])
        elif kind in COMPOSITES and complete:
            yield from ((type_id, True) for type_id in t.words[1::3])
        elif kind is Kind.FWD:
            full = self._types.behind_fwd(t)
            if full is not None:
                yield full.id, False
