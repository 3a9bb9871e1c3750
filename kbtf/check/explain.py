# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Why a type is in ``.BTF.base``: which types refer to it, and whether its size matters."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.builder import BtfBuilder
from kbtf.btf.c_type_name import c_name, shown
from kbtf.btf.distill import distill
from kbtf.btf.kinds import COMPOSITES, DISTILLED, ENUMS, SCALARS, Kind, is_known
from kbtf.check.uses import by_value
from kbtf.errors import BtfError
from kbtf.say import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf, BtfType

_ALWAYS_COMPARED = SCALARS | {Kind.FLOAT}
# Kinds that a module's author knows by name, the most informative first.
_ROOTS = (Kind.FUNC, Kind.VAR, Kind.STRUCT, Kind.UNION, Kind.DECL_TAG, Kind.DATASEC)
# The input decides how long chains are; this is the most that is useful to print.
_MOST_STEPS = 40
_MOST_NESTED = 16


class Pin(NamedTuple):
    """A member of the module's own types that holds a type by value."""

    owner: str
    """``struct extcon_dev``."""
    member: str
    """Its name, or the path to it through anonymous structs."""

    def __str__(self) -> str:
        return f"member '{self.member}' of {self.owner}"


class Explanation(NamedTuple):
    """Why one type is in the distilled base."""

    id: int
    kind: Kind
    name: str
    type: str
    """The type in words: ``struct device``."""
    size: int | None
    """None for a declaration, the kind FWD."""
    pins: tuple[Pin, ...]
    """Members that embed it: they make the kernel refuse a struct or union of another size."""
    chain: tuple[str, ...]
    """From an own type or function of the module to this type; empty if nothing leads to it."""

    @property
    def pinned(self) -> bool:
        """Whether a type of another size is always refused."""
        return bool(self.pins) or self.kind in _ALWAYS_COMPARED

    def __str__(self) -> str:
        facts = "declared only" if self.size is None else counted(self.size, "byte")
        if self.pins:
            facts += ", size pinned"
        elif self.kind in _ALWAYS_COMPARED:
            facts += ", size always compared"
        return f"{self.type} ({facts}): {' -> '.join(self.chain) or 'nothing refers to it'}"


def distilled_form(split: Btf) -> Btf:
    """*split* if its base is distilled, else the result of distilling it.

    Nobody knows what a type of an unknown kind refers to, so it becomes one that refers to nothing.
    """
    if split.base is None:
        raise BtfError("is not split BTF, so it has no .BTF.base")
    if _is_distilled(split.base):
        return split
    return distill(_known(split) if split.index.unknown_id else split).split


def _known(split: Btf) -> Btf:
    """The same types with the same ids, those of unknown kinds without a meaning."""
    made = BtfBuilder(split.base)
    for t in split:
        if is_known(t.kind):
            made.add_copy(t)
        else:
            made.add_ref(Kind.TYPEDEF, 0, t.name)
    return made.build()


def explain(split: Btf, wanted: str | None = None) -> list[Explanation]:
    """Explain each type of the distilled base of *split*, or those named *wanted*, by id.

    The base of *split* is a distilled base or a vmlinux; in the latter case, it is distilled
    first.  *wanted* is a name with or without its keyword: ``device`` or ``struct device``.  A
    chain is the shortest one from a function, variable or named struct of the module.  BtfError
    if there is no base.
    """
    split = distilled_form(split)
    types = [t for t in split.base or () if wanted in (None, t.name, c_name(t))]
    if not types:
        return []
    graph = _Graph(split)
    pins = _pins(split, graph)
    return [
        Explanation(
            t.id, t.kind, t.name, c_name(t), t.size, tuple(pins.get(t.id, ())), graph.chain(t.id)
        )
        for t in types
    ]


def why_absent(split: Btf, wanted: str) -> str:
    """In words, why no type named *wanted* is in the distilled base of *split*."""
    for own in (*split, *distilled_form(split)):
        if wanted in (own.name, c_name(own)):
            return f"it is in the module's .BTF itself, as {own.kind.name}"
    return "the module does not refer to it, or only through structs of the kernel"


def _is_distilled(base: Btf) -> bool:
    return all(t.name and t.kind in DISTILLED and (not t.vlen or t.kind is Kind.INT) for t in base)


class _Edge(NamedTuple):
    """A reference from one type to another."""

    target: int
    words: str = ""
    member: str | None = None
    """The name, if it is a member of a struct or union."""


def _edges(t: BtfType) -> Iterator[_Edge]:
    """The references of a type; a function's prototype is skipped, its parameters are its own."""
    if t.kind is Kind.FUNC and t.btf[t.size_or_type].kind is Kind.FUNC_PROTO:
        t = t.btf[t.size_or_type]
    if t.kind is Kind.FUNC_PROTO:
        for param in t.params:
            yield _Edge(
                param.type, f"parameter '{shown(param.name)}'" if param.name else "a parameter"
            )
        yield _Edge(t.size_or_type, "result")
    elif t.kind in COMPOSITES:
        for member in t.members:
            name = shown(member.name)
            yield _Edge(member.type, f"member '{name}'" if name else "", name)
    elif t.array is not None:
        yield _Edge(t.array.type)
        yield _Edge(t.array.index_type, "index")
    elif t.kind is Kind.DATASEC:
        for entry in t.entries:
            yield _Edge(entry.type)
    elif t.type is not None:
        yield _Edge(t.type)


def _words(t: BtfType) -> str:
    """A type as a step of a chain."""
    if t.kind in COMPOSITES or t.kind in ENUMS:
        return c_name(t) if t.name else f"anonymous {t.keyword}"
    if t.kind in (Kind.INT, Kind.FLOAT, Kind.FWD):
        return c_name(t)
    if t.array is not None:
        return f"array of {t.array.nelems}"
    if t.kind is Kind.FUNC_PROTO:
        return "prototype"
    word = t.kind.name.lower()
    return f"{word} {shown(t.name)}" if t.name else word


class _Step(NamedTuple):
    """How a type is reached: the last reference, and the start of the path."""

    parent: int
    edge: _Edge
    root: int
    steps: int


class _Graph:
    """The shortest path to each type from the types of a module that are meaningful by themselves.

    If none of these leads there, the path starts at a type that nothing refers to, such as a
    typedef that only local variables use.
    """

    def __init__(self, split: Btf) -> None:
        self._split = split
        self._reached: dict[int, _Step | None] = {}
        self._edges = {t.id: [e for e in _edges(t) if e.target] for t in split}
        self._spread(self._roots())
        targets = {edge.target for edges in self._edges.values() for edge in edges}
        self._spread([t.id for t in split if t.id not in targets])
        for t in split:
            self._spread([t.id])  # cycles that nothing leads into

    def _roots(self) -> list[int]:
        roots = [t for t in self._split if t.name and t.kind in _ROOTS]
        return [t.id for t in sorted(roots, key=lambda t: _ROOTS.index(t.kind))]

    def _spread(self, starts: list[int]) -> None:
        """Breadth first, all *starts* at once."""
        queue = deque((start, start, 0) for start in starts if start not in self._reached)
        self._reached.update((start, None) for start, _, _ in queue)
        while queue:
            at, root, steps = queue.popleft()
            for edge in self._edges.get(at, ()):
                if edge.target not in self._reached:
                    self._reached[edge.target] = _Step(at, edge, root, steps + 1)
                    queue.append((edge.target, root, steps + 1))

    def step(self, type_id: int) -> _Step | None:
        """How a type is reached; None at the start of a path."""
        return self._reached.get(type_id)

    def chain(self, type_id: int) -> tuple[str, ...]:
        """The path to a type in words, its middle omitted if it is long."""
        step = self.step(type_id)
        if step is None:
            return ()
        words = [_words(self._split[type_id])]
        while step is not None:
            if len(words) > _MOST_STEPS and step.steps > 1:
                words += [f"{step.steps - 1} more", _words(self._split[step.root])]
                break
            words += [step.edge.words] if step.edge.words else []
            words.append(_words(self._split[step.parent]))
            step = self.step(step.parent)
        return tuple(reversed(words))


def _pins(split: Btf, graph: _Graph) -> dict[int, list[Pin]]:
    """The members that hold types of the base by value, found as the kernel does."""
    pins: dict[int, list[Pin]] = {}
    for owner in split:
        for member in owner.members:
            target = by_value(split, member.type)
            if 0 < target < split.start_id and split[target].kind in COMPOSITES:
                pins.setdefault(target, []).append(_pin(owner, member.name, graph))
    return pins


def _pin(owner: BtfType, member: str, graph: _Graph) -> Pin:
    """The member with its owner: the innermost named struct around it."""
    split, path, dot, at = owner.btf, shown(member) or "(anonymous)", ".", owner
    for _ in range(_MOST_NESTED):
        step = graph.step(at.id)
        if at.name or step is None:
            break
        at = split[step.parent]
        if at.kind is Kind.PTR:
            dot = "->"
        elif step.edge.member:
            path, dot = f"{step.edge.member}{dot}{path}", "."
    if at.kind in COMPOSITES or at.kind is Kind.TYPEDEF:
        return Pin(_words(at), path)
    return Pin(f"{_words(owner)}, used by {_words(at)}", path)
