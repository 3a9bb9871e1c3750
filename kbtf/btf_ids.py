"""``.BTF_ids``: the slots that a module's build fills with type ids.

Symbols ``__BTF_ID__<kind>__<name>__<unique>`` name single slots, ``__BTF_ID__set__<name>`` and
``__BTF_ID__set8__<name>`` frame sets.  Source: include/linux/btf_ids.h, tools/bpf/resolve_btfids.
Slots are 32-bit words in the byte order of the ELF file; offsets here count words.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind
from kbtf.errors import BtfIdsError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kbtf.btf.btf import Btf
    from kbtf.elf.image import ElfImage

SECTION = ".BTF_ids"
PREFIX = "__BTF_ID__"

# In the order in which resolve_btfids resolves and warns.
SLOT_KINDS = {
    "struct": Kind.STRUCT,
    "union": Kind.UNION,
    "typedef": Kind.TYPEDEF,
    "func": Kind.FUNC,
}
SET8_KFUNCS = 1
"""BTF_SET8_KFUNCS: a set8 of kfuncs, as kernels since 6.9 ask for."""
TRACEPOINT_LISTS = "__bpf_trace_btf_ids_"
"""How the names of the lists of tracepoints begin, which the newest kernels relocate."""

_MOST_SLOTS_OF_A_NAME = 100
_REGISTER_DTORS = "register_btf_id_dtor_kfuncs"


class Slot(NamedTuple):
    """One word that holds the id of the type *name*."""

    kind: Kind
    name: str
    at: int


class IdSet(NamedTuple):
    """A sorted set: a count, then ids; or, as set8, a count, flags, then pairs of id and flags."""

    name: str
    at: int
    length: int
    is_set8: bool

    @property
    def id_words(self) -> range:
        """Where its ids stand."""
        if self.is_set8:
            return range(self.at + 2, self.at + 2 + 2 * self.length, 2)
        return range(self.at + 1, self.at + 1 + self.length)


class BtfIds(NamedTuple):
    """What the symbols say of a ``.BTF_ids`` section, and its words."""

    slots: tuple[Slot, ...]
    sets: tuple[IdSet, ...]
    lists: tuple[tuple[int, str], ...]
    """Where the labels of lists and sets stand, ascending."""
    words: tuple[int, ...]
    byte_order: str

    def to_bytes(self) -> bytes:
        """The contents of the section."""
        order = ">" if self.byte_order == "big" else "<"
        return struct.pack(f"{order}{len(self.words)}I", *self.words)

    @property
    def id_words(self) -> set[int]:
        """Where ids stand, in sets and lists."""
        return {slot.at for slot in self.slots}.union(*(s.id_words for s in self.sets))

    @property
    def list_slots(self) -> list[Slot]:
        """The slots that are in no set; those of a resolved set no longer match their symbols."""
        in_sets = set().union(*(s.id_words for s in self.sets))
        return [slot for slot in self.slots if slot.at not in in_sets]

    @property
    def list_members(self) -> dict[str, list[Slot]]:
        """The slots of the lists outside of sets, by the labels of these, in order."""
        members: dict[str, list[Slot]] = {}
        for slot in self.list_slots:
            label = max((label for label in self.lists if label[0] <= slot.at), default=None)
            members.setdefault(label[1] if label else slot.name, []).append(slot)
        return members

    @property
    def list_names(self) -> list[str]:
        """The lists outside of sets that hold slots, by their label, in order."""
        return list(self.list_members)

    def unrelocated_lists(self, image: ElfImage) -> list[str]:
        """The lists of a module with a distilled base whose ids no kernel relocates.

        The kernel relocates the ids of kfunc sets, of destructor tables, and the lists of
        tracepoints; it does not know of those that a module reads itself.
        """
        has_dtors = any(s.name == _REGISTER_DTORS and s.shndx == 0 for s in image.symbols())
        return [
            name
            for name in self.list_names
            if not name.startswith(TRACEPOINT_LISTS) and not (has_dtors and "dtor" in name)
        ]

    def is_kfunc_set(self, id_set: IdSet) -> bool:
        """The flags of a set say that it is of kfuncs."""
        return id_set.is_set8 and bool(self.words[id_set.at + 1] & SET8_KFUNCS)

    def slots_of(self, id_set: IdSet) -> list[Slot]:
        """The slots of a set, as the linker laid them out."""
        words = id_set.id_words
        return [slot for slot in self.slots if slot.at in words]

    @property
    def is_resolved(self) -> bool:
        """Some id or the count of a set has been filled in, or there is none to fill in."""
        ids = self.id_words
        return (
            not ids or any(self.words[at] for at in ids) or any(self.words[s.at] for s in self.sets)
        )


class Resolution(NamedTuple):
    """Filled-in ids, and what could not be filled in or was ambiguous, in words."""

    ids: BtfIds
    warnings: list[str]


def read_ids(image: ElfImage) -> BtfIds | None:
    """The ids of a module or vmlinux; None without the section or without symbols into it.

    BtfIdsError if a symbol cannot be understood or lies outside the section.
    """
    section = image.section(SECTION)
    contents = image.data(SECTION)
    if section is None or contents is None:
        return None
    if len(contents) % 4:
        raise BtfIdsError(f"{len(contents)} bytes are not a whole number of words", where=SECTION)
    order = ">" if image.byte_order == "big" else "<"
    words = struct.unpack(f"{order}{len(contents) // 4}I", contents)
    slots, sets, lists = [], [], []
    for symbol in image.symbols():
        if symbol.shndx != section.number:
            continue
        if not symbol.name.startswith(PREFIX):
            if symbol.name:
                lists.append(((symbol.value - section.addr) // 4, symbol.name))
            continue
        at = _word_of(symbol.name, symbol.value - section.addr, len(words))
        kind, _, rest = symbol.name.removeprefix(PREFIX).partition("__")
        if kind in SLOT_KINDS:
            slots.append(Slot(SLOT_KINDS[kind], _without_suffix(symbol.name, rest), at))
        elif kind in ("set", "set8"):
            sets.append(_read_set(symbol.name, rest, kind == "set8", at, symbol.size, len(words)))
        else:
            raise BtfIdsError(f"symbol {symbol.name}: kind '{kind}' is not known", where=SECTION)
    if not slots and not sets:
        return None
    _check_numbers(slots, sets)
    return BtfIds(tuple(slots), tuple(sets), tuple(sorted(lists)), words, image.byte_order)


def _word_of(symbol: str, offset: int, nr_words: int) -> int:
    if not 0 <= offset < 4 * nr_words:
        raise BtfIdsError(
            f"symbol {symbol} (offset {offset}) is outside the section ({4 * nr_words} bytes)",
            where=SECTION,
        )
    if offset % 4:
        raise BtfIdsError(f"symbol {symbol} (offset {offset}) is not aligned to 4", where=SECTION)
    return offset // 4


def _without_suffix(symbol: str, name: str) -> str:
    """Cut the unique suffix, which starts with the last two underscores."""
    at = name.rfind("_") - 1
    if at < 1 or name[at] != "_":
        raise BtfIdsError(f"symbol {symbol} has no __<unique> suffix", where=SECTION)
    return name[:at]


def _read_set(symbol: str, name: str, is_set8: bool, at: int, size: int, nr_words: int) -> IdSet:
    element = 8 if is_set8 else 4
    if not name:
        raise BtfIdsError(f"symbol {symbol} names no set", where=SECTION)
    if size < element:
        raise BtfIdsError(f"set {name}: {size} bytes are too few for its count", where=SECTION)
    if at + size // 4 > nr_words:
        raise BtfIdsError(
            f"set {name} (offset {4 * at}, {size} bytes) reaches past the end of the section "
            f"({4 * nr_words} bytes)",
            where=SECTION,
        )
    return IdSet(name, at, size // element - 1, is_set8)


def _check_numbers(slots: list[Slot], sets: list[IdSet]) -> None:
    names: set[str] = set()
    for id_set in sets:
        if id_set.name in names:
            raise BtfIdsError(f"there are two sets {id_set.name}", where=SECTION)
        names.add(id_set.name)
    uses: dict[tuple[Kind, str], int] = {}
    for slot in slots:
        key = slot.kind, slot.name
        uses[key] = uses.get(key, 0) + 1
        if uses[key] > _MOST_SLOTS_OF_A_NAME:
            raise BtfIdsError(
                f"more than {_MOST_SLOTS_OF_A_NAME} slots for {slot.name}", where=SECTION
            )


def resolve_ids(ids: BtfIds, btf: Btf) -> Resolution:
    """Fill in the ids as resolve_btfids does: the first type of each name and kind, 0 if none.

    *ids* are as the linker left them.  The sets are sorted by id, flags staying with their id.
    """
    found: dict[tuple[Kind, str], int] = {}
    duplicates: list[tuple[int, str]] = []
    for kind in SLOT_KINDS.values():
        names = [slot.name for slot in ids.slots if slot.kind is kind]
        candidates = {name: [t.id for t in btf.find_all(name, kind)] for name in names}
        found.update({(kind, name): c[0] for name, c in candidates.items() if c})
        duplicates += _duplicates(candidates, len(names))
    unresolved = [
        f"unresolved symbol {name}"
        for kind in SLOT_KINDS.values()
        for name in sorted({s.name for s in ids.slots if s.kind is kind}, reverse=True)
        if (kind, name) not in found
    ]
    words = list(ids.words)
    for slot in ids.slots:
        words[slot.at] = found.get((slot.kind, slot.name), 0)
    in_order_of_types = [text for _, text in sorted(duplicates)]
    return Resolution(_sort_sets(ids, words), in_order_of_types + unresolved)


def _duplicates(candidates: dict[str, list[int]], nr_symbols: int) -> Iterator[tuple[int, str]]:
    """The warnings of resolve_btfids, whose scan ends once it found as many names as symbols.

    Each with the type that was found later.
    """
    firsts = sorted(c[0] for c in candidates.values() if c)
    scan_end = firsts[-1] if len(firsts) == nr_symbols and firsts else None
    others = sorted((other, name) for name, c in candidates.items() for other in c[1:])
    for other, name in others:
        if scan_end is None or other < scan_end:
            first = candidates[name][0]
            yield other, f"multiple IDs found for '{name}': {first}, {other} - using {first}"


def rewrite_ids(ids: BtfIds, new_id: Callable[[int], int]) -> Resolution:
    """Replace the ids of a resolved section through a map from old ids, and sort its sets again.

    What *new_id* maps to 0 is gone and warned of.
    """
    words = list(ids.words)
    names = {slot.at: slot.name for slot in ids.list_slots}
    warnings = []
    for at in sorted(ids.id_words):
        old = words[at]
        words[at] = new_id(old) if old else 0
        if old and not words[at]:
            warnings.append(f"the type of {names.get(at, f'id {old}')} is no longer there")
    return Resolution(_sort_sets(ids, words), warnings)


def _sort_sets(ids: BtfIds, words: list[int]) -> BtfIds:
    for id_set in ids.sets:
        words[id_set.at] = id_set.length
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

    Lists are compared slot by slot, sets as a whole: after sorting, a pair no longer stands where
    its symbol points.
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
