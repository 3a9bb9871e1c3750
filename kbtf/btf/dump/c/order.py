# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The order that C requires of types, and which need a declaration before their definition.

A type is needed in one of two ways: *complete*, if its size matters (a member, an array element),
or merely *declared*, behind a pointer or in a prototype.  An anonymous struct is written where it
is used, so its members are needed complete even behind a pointer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.btf import Btf, BtfType
from kbtf.btf.dump.c.scalars import is_bool
from kbtf.btf.kinds import COMPOSITES, MODIFIERS, QUALIFIERS, SCALARS, Kind, unknown
from kbtf.errors import BtfError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Need = tuple[int, bool]
    """A type, and whether it is needed complete."""

# These are written where they are used, or built into the compiler.
_WHOLE = SCALARS | {Kind.FLOAT, Kind.PTR, Kind.ARRAY}

_OPEN, _DONE = 1, 2


class Types(dict[int, BtfType]):
    """The types of a BTF and its base by id, each created once."""

    def __init__(self, btf: Btf) -> None:
        super().__init__()
        self.btf = btf
        self._strings: bytes | None = None
        self._has_string: dict[str, bool] = {}
        # chains may be long, and shared by many types
        self._behind: dict[int, BtfType] = {}
        self._full: dict[tuple[str, Kind], BtfType | None] = {}

    def __missing__(self, type_id: int) -> BtfType:
        found = self[type_id] = self.btf[type_id]
        return found

    def byte_len(self) -> int:
        """What the types of the BTF and of its base take in it."""
        own = self.btf.index.type_len
        return own if self.btf.base is None else own + self.btf.base.index.type_len

    def has_string(self, text: str) -> bool:
        """Whether something in the BTF or its base may have that name."""
        if self._strings is None:
            self._strings = self.btf.all_strings()
        if text not in self._has_string:
            raw = text.encode("utf-8", "surrogateescape")
            self._has_string[text] = b"\0%b\0" % raw in self._strings
        return self._has_string[text]

    def is_bool(self, t: BtfType) -> bool:
        """The typedef ``bool``, which is a keyword of C23."""
        return t.kind is Kind.TYPEDEF and t.name == "bool" and is_bool(self[t.size_or_type])

    def behind_fwd(self, fwd: BtfType) -> BtfType | None:
        """The struct or union that a FWD declares, if it is known."""
        if not fwd.name:
            return None
        key = (fwd.name, Kind.UNION if fwd.kind_flag else Kind.STRUCT)
        if key not in self._full:
            self._full[key] = self.btf.find(*key)
        return self._full[key]

    def behind_names(self, type_id: int) -> BtfType:
        """The type without its modifiers and typedefs, which must not form a cycle."""
        found = self._behind.get(type_id)
        if found is not None:
            return found
        way = [type_id]
        t = self[type_id]
        while t.kind in MODIFIERS and t.id not in self._behind:
            way.append(t.id)
            t = self[t.size_or_type]
        t = self._behind.get(t.id, t)
        self._behind.update(dict.fromkeys(way, t))
        return t


def all_types(btf: Btf) -> Iterator[BtfType]:
    """The types of the base, then the own types."""
    if btf.base is not None:
        yield from all_types(btf.base)
    yield from btf


def reached(types: Types, starts: Iterable[int]) -> set[int]:
    """*starts* and all types that they lead to, also through pointers."""
    found: set[int] = set()
    todo = list(starts)
    while todo:
        type_id = todo.pop()
        if type_id in found:
            continue
        found.add(type_id)
        t = types[type_id]
        todo += t.children
        if t.kind is Kind.FWD and (full := types.behind_fwd(t)) is not None:
            todo.append(full.id)
    return found


def fault(t: BtfType, what: str) -> BtfError:
    """An error about one type."""
    return BtfError(what, where=f"type [{t.id}] '{t.name}'")


class Order:
    """Walks types depth first, each once per way of needing it, after its dependencies."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._state: dict[Need, int] = {}

    def has(self, type_id: int) -> bool:
        """Whether a walked type needs this one complete, or contains it."""
        return (type_id, True) in self._state

    def walk(self, type_id: int, complete: bool) -> Iterator[tuple[BtfType, bool]]:
        """The types that must come before *type_id*, then that type, unless already walked."""
        start = self._need(type_id, complete)
        if start is None or start in self._state:
            return
        self._state[start] = _OPEN
        # an explicit stack: the input decides how long chains of types are
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
        """The need, or None for void; normalised if the way of needing makes no difference."""
        if type_id == 0:
            return None
        t = self._types[type_id]
        kind = t.kind
        if kind in MODIFIERS:
            return type_id, complete
        if kind in (Kind.FUNC_PROTO, Kind.FWD):
            return type_id, False
        if kind in COMPOSITES and t.name:
            return type_id, complete
        if kind in COMPOSITES or kind in _WHOLE:
            return type_id, True
        if kind in (Kind.FUNC, Kind.VAR, Kind.DATASEC, Kind.DECL_TAG):
            raise fault(t, f"a {kind.name} stands where a type should")
        raise unknown(kind, "a dump as C")

    def _needs_of(self, need: Need) -> Iterator[Need]:
        for type_id, complete in self._parts(self._types[need[0]], need[1]):
            wanted = self._need(type_id, complete)
            if wanted is not None:
                yield wanted

    def _parts(self, t: BtfType, complete: bool) -> Iterator[Need]:
        kind = t.kind
        if kind is Kind.PTR:
            yield t.size_or_type, False
        elif kind in QUALIFIERS:
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
