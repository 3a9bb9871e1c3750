# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Resolve the ids of ``.BTF_ids``, rewrite them, and check them against BTF."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.ids.btf_ids import SLOT_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kbtf.btf.btf import Btf
    from kbtf.btf.kinds import Kind
    from kbtf.ids.btf_ids import BtfIds


class Unresolved(NamedTuple):
    """No type has the kind and name of a slot."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"unresolved symbol {self.name}"


class Ambiguous(NamedTuple):
    """Two types have the kind and name of a slot; the first is used."""

    name: str
    first: int
    other: int

    def __str__(self) -> str:
        numbers = f"{self.first}, {self.other} - using {self.first}"
        return f"multiple IDs found for '{self.name}': {numbers}"


class Gone(NamedTuple):
    """The type of an id has no counterpart."""

    name: str

    def __str__(self) -> str:
        return f"the type of {self.name} is no longer there"


class Resolution(NamedTuple):
    """The result of `resolve_ids` and `rewrite_ids`."""

    ids: BtfIds
    """The section with its ids filled in."""
    warnings: list[Unresolved | Ambiguous | Gone]
    """One for each missing or ambiguous id; ``str()`` gives the message."""


def resolve_ids(ids: BtfIds, btf: Btf) -> Resolution:
    """Fill in the ids as resolve_btfids does: the first type of each name and kind, 0 if none.

    *ids* are as the linker left them.  The sets are sorted by id, flags staying with their id.
    """
    found: dict[tuple[Kind, str], int] = {}
    duplicates: list[Ambiguous] = []
    for kind in SLOT_KINDS.values():
        names = [slot.name for slot in ids.slots if slot.kind is kind]
        candidates = {name: [t.id for t in btf.find_all(name, kind)] for name in names}
        found.update({(kind, name): c[0] for name, c in candidates.items() if c})
        duplicates += _duplicates(candidates, len(names))
    unresolved = [
        Unresolved(kind, name)
        for kind in SLOT_KINDS.values()
        for name in sorted({s.name for s in ids.slots if s.kind is kind}, reverse=True)
        if (kind, name) not in found
    ]
    words = list(ids.words)
    for slot in ids.slots:
        words[slot.at] = found.get((slot.kind, slot.name), 0)
    in_order_of_types = sorted(duplicates, key=lambda duplicate: duplicate.other)
    return Resolution(_sort_sets(ids, words), [*in_order_of_types, *unresolved])


def _duplicates(candidates: dict[str, list[int]], nr_symbols: int) -> Iterator[Ambiguous]:
    """The warnings of resolve_btfids, whose scan ends once it found as many names as symbols."""
    firsts = sorted(c[0] for c in candidates.values() if c)
    scan_end = firsts[-1] if len(firsts) == nr_symbols and firsts else None
    others = sorted((other, name) for name, c in candidates.items() for other in c[1:])
    for other, name in others:
        if scan_end is None or other < scan_end:
            yield Ambiguous(name, candidates[name][0], other)


def rewrite_ids(ids: BtfIds, new_id: Callable[[int], int]) -> Resolution:
    """Replace the ids of a resolved section through a map from old ids, and sort its sets again.

    Ids that *new_id* maps to 0 have no counterpart and cause a warning.
    """
    words = list(ids.words)
    names = {slot.at: slot.name for slot in ids.list_slots}
    warnings: list[Unresolved | Ambiguous | Gone] = []
    for at in sorted(ids.id_words):
        old = words[at]
        words[at] = new_id(old) if old else 0
        if old and not words[at]:
            warnings.append(Gone(names.get(at, f"id {old}")))
    return Resolution(_sort_sets(ids, words), warnings)


def _sort_sets(ids: BtfIds, words: list[int]) -> BtfIds:
    for id_set in ids.sets:
        words[id_set.at] = id_set.declared
        if id_set.is_set8:
            pairs = sorted(((words[at], words[at + 1]) for at in id_set.id_words), key=_by_id)
            start = id_set.at + 2
            words[start : start + 2 * id_set.length] = [word for pair in pairs for word in pair]
        else:
            at = id_set.id_words
            words[at.start : at.stop] = sorted(words[at.start : at.stop])
    return ids._replace(words=tuple(words))


def _by_id(pair: tuple[int, int]) -> int:
    return pair[0]


def ids_mismatch(ids: BtfIds, btf: Btf) -> str | None:
    """Why the ids of a resolved section do not belong to *btf*, or None if they do.

    Lists are compared slot by slot, sets as a whole: after sorting, a pair is no longer where its
    symbol points.
    """
    for slot in ids.list_slots:
        actual = ids.words[slot.at]
        if actual and _named(btf, actual) != (slot.kind, slot.name):
            return f"the id of {slot.kind.name.lower()} {slot.name} is {_describe(btf, actual)}"
    for id_set in ids.sets:
        expected = {(slot.kind, slot.name) for slot in ids.slots_of(id_set)}
        for at in id_set.id_words:
            actual = ids.words[at]
            if actual and _named(btf, actual) not in expected:
                return f"set {id_set.name} holds {_describe(btf, actual)}"
    return None


def _named(btf: Btf, type_id: int) -> tuple[Kind, str] | None:
    if type_id >= btf.end_id:
        return None
    found = btf[type_id]
    return found.kind, found.name


def _describe(btf: Btf, type_id: int) -> str:
    named = _named(btf, type_id)
    if named is None:
        return f"{type_id}, the id of no type"
    return f"{type_id}, the id of {named[0].name} '{named[1]}'"
