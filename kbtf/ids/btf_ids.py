# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``.BTF_ids``: the slots that a module's build fills with type ids.

Symbols ``__BTF_ID__<kind>__<name>__<unique>`` name single slots, ``__BTF_ID__set__<name>`` and
``__BTF_ID__set8__<name>`` frame sets.  Source: include/linux/btf_ids.h, tools/bpf/resolve_btfids.
Slots are 32-bit words in the byte order of the ELF file; offsets here count words.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections import Counter
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.kinds import Kind
from kbtf.elf.format import SHN_UNDEF
from kbtf.errors import BtfIdsError
from kbtf.say import counted_is

if TYPE_CHECKING:
    from kbtf.elf.format import Section
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
"""BTF_SET8_KFUNCS: marks a set8 of kfuncs; required by kernels since 6.9."""
TRACEPOINT_LISTS = "__bpf_trace_btf_ids_"
"""The prefix of lists of tracepoints, which the newest kernels relocate."""
REGISTER_KFUNCS = "register_btf_kfunc_id_set"
REGISTER_FMODRET = "register_btf_fmodret_id_set"
REGISTER_DTORS = "register_btf_id_dtor_kfuncs"
REGISTRATIONS = frozenset({REGISTER_KFUNCS, REGISTER_FMODRET, REGISTER_DTORS})
"""The kernel's functions that need ids of functions: without BTF or ids, they register nothing."""

_MOST_SLOTS_OF_A_NAME = 100
_MOST_OF_A_WORD = 16  # slots, and on average sets: no linker lets them overlap


class Slot(NamedTuple):
    """One word that holds the id of a type."""

    kind: Kind
    """The kind of the type: STRUCT, UNION, TYPEDEF or FUNC."""
    name: str
    """The name of the type."""
    at: int
    """The index of the word in `BtfIds.words`."""


class IdSet(NamedTuple):
    """A sorted set: a count, then ids; or, as set8, a count, flags, then pairs of id and flags."""

    name: str
    """The name in the source, as in ``BTF_KFUNCS_START(name)``."""
    at: int
    """The index of its first word, the count, in `BtfIds.words`."""
    length: int
    """The number of ids that the section has room for."""
    is_set8: bool
    """Whether each id has flags, as in a kfunc set."""
    declared: int
    """The count that resolve_btfids writes: *length*, unless the size of the symbol is wrong."""

    @property
    def id_words(self) -> range:
        """The indices of its ids in `BtfIds.words`."""
        if self.is_set8:
            return range(self.at + 2, self.at + 2 + 2 * self.length, 2)
        return range(self.at + 1, self.at + 1 + self.length)


class BtfIds(NamedTuple):
    """The words of a ``.BTF_ids`` section, and the meaning of its symbols."""

    slots: tuple[Slot, ...]
    """Every slot, including those in sets, ascending by place."""
    sets: tuple[IdSet, ...]
    """Every set and set8."""
    lists: tuple[tuple[int, str], ...]
    """The index and the name of the label of each list and set, ascending."""
    words: tuple[int, ...]
    """The contents of the section, as 32-bit words."""
    byte_order: str
    """``little`` or ``big``."""
    oddities: tuple[str, ...] = ()
    """Mistakes that resolve_btfids ignores."""

    def to_bytes(self) -> bytes:
        """The contents of the section."""
        order = ">" if self.byte_order == "big" else "<"
        return struct.pack(f"{order}{len(self.words)}I", *self.words)

    @property
    def id_words(self) -> set[int]:
        """The indices of all ids, in sets and lists."""
        return {slot.at for slot in self.slots}.union(*(s.id_words for s in self.sets))

    @property
    def list_slots(self) -> list[Slot]:
        """The slots outside sets; the slots of a resolved set no longer match their symbols."""
        in_sets = set().union(*(s.id_words for s in self.sets))
        return [slot for slot in self.slots if slot.at not in in_sets]

    @property
    def list_members(self) -> dict[str, list[Slot]]:
        """The slots outside sets, by the name of their list, in order."""
        members: dict[str, list[Slot]] = {}
        for slot in self.list_slots:
            label = bisect_right(self.lists, slot.at, key=_place)
            name = self.lists[label - 1][1] if label else slot.name
            members.setdefault(name, []).append(slot)
        return members

    @property
    def list_names(self) -> list[str]:
        """The names of the lists that have slots, in order."""
        return list(self.list_members)

    def unrelocated_lists(self, image: ElfImage) -> list[str]:
        """The lists of a module with a distilled base whose ids no kernel relocates.

        The kernel relocates the ids of kfunc sets, destructor tables and the lists of
        tracepoints; it does not know about lists that a module reads itself.
        """
        has_dtors = REGISTER_DTORS in imports(image)
        return [
            name
            for name in self.list_names
            if not name.startswith(TRACEPOINT_LISTS) and not (has_dtors and "dtor" in name)
        ]

    @property
    def has_set8(self) -> bool:
        """Whether it has a set with flags, which is for registering functions."""
        return any(id_set.is_set8 for id_set in self.sets)

    def is_kfunc_set(self, id_set: IdSet) -> bool:
        """Whether the flags of a set mark it as a kfunc set."""
        return id_set.is_set8 and bool(self.words[id_set.at + 1] & SET8_KFUNCS)

    def slots_of(self, id_set: IdSet) -> list[Slot]:
        """The slots of a set, as the linker laid them out."""
        words = id_set.id_words
        first = bisect_left(self.slots, words.start, key=_at)
        end = bisect_left(self.slots, words.stop, key=_at)
        return [slot for slot in self.slots[first:end] if slot.at in words]

    @property
    def kfuncs(self) -> set[str]:
        """The names in all sets with flags."""
        return {slot.name for s in self.sets if s.is_set8 for slot in self.slots_of(s)}

    @property
    def is_resolved(self) -> bool:
        """Whether an id or the count of a set has been filled in; true if there are no ids."""
        ids = self.id_words
        return (
            not ids or any(self.words[at] for at in ids) or any(self.words[s.at] for s in self.sets)
        )


def imports(image: ElfImage) -> frozenset[str]:
    """The names of undefined symbols, which a tool that strips a module keeps."""
    return frozenset(s.name for s in image.symbols(SHN_UNDEF) if s.name)


def registers_functions(image: ElfImage, ids: BtfIds | None) -> bool:
    """Whether a module with these *ids* registers functions, such as kfuncs, by their ids."""
    return bool(imports(image) & REGISTRATIONS) or (ids is not None and ids.has_set8)


def read_ids(image: ElfImage) -> BtfIds | None:
    """The ids of a module or vmlinux; None without the section or without symbols into it.

    BtfIdsError if a symbol cannot be understood or lies outside the section.
    """
    section = image.section(SECTION)
    contents = image.data(SECTION)
    if section is None or contents is None:
        return None
    key = read_ids, contents  # most passes read them
    if key not in image.results:
        image.results[key] = _read_ids(image, section, contents)
    ids: BtfIds | None = image.results[key]
    return ids


def _read_ids(image: ElfImage, section: Section, contents: bytes) -> BtfIds | None:
    if len(contents) % 4:
        raise BtfIdsError(
            f"{counted_is(len(contents), 'byte')} not a whole number of words", where=SECTION
        )
    order = ">" if image.byte_order == "big" else "<"
    words = struct.unpack(f"{order}{len(contents) // 4}I", contents)
    slots, sets, lists, odd = [], [], [], []
    for symbol in image.symbols(section.number):
        offset = symbol.value - section.addr
        if not symbol.name.startswith(PREFIX):
            if symbol.name:
                lists.append((offset // 4, symbol.name))
            continue
        at = _word_of(symbol.name, offset, len(words))
        if offset % 4:
            odd.append(f"symbol {symbol.name} (offset {offset}) is not aligned to 4")
        kind, rest = _kind_of(symbol.name)
        if kind in SLOT_KINDS:
            slots.append(Slot(SLOT_KINDS[kind], _without_suffix(symbol.name, rest), at))
        else:
            found = _read_set(symbol.name, rest, kind == "set8", at, symbol.size, len(words))
            sets.append(found)
            if found.length < found.declared:
                odd.append(
                    f"set {found.name} (offset {4 * at}, {symbol.size} bytes) reaches past the end "
                    f"of the section ({4 * len(words)} bytes)"
                )
    if not slots and not sets:
        return None
    _check_numbers(slots, sets, len(words))
    labels = tuple(sorted(lists))
    return BtfIds(
        tuple(sorted(slots, key=_at)), tuple(sets), labels, words, image.byte_order, tuple(odd)
    )


def _kind_of(symbol: str) -> tuple[str, str]:
    """The kind and the rest: like resolve_btfids, this only compares the kind as a prefix."""
    words = symbol.removeprefix(PREFIX)
    for kind in (*SLOT_KINDS, "set8", "set"):
        if words.startswith(kind):
            return kind, words[len(kind) + 2 :]
    kind = words.partition("__")[0]
    raise BtfIdsError(f"symbol {symbol}: kind '{kind}' is not known", where=SECTION)


def _word_of(symbol: str, offset: int, nr_words: int) -> int:
    if not 0 <= offset < 4 * nr_words:
        raise BtfIdsError(
            f"symbol {symbol} (offset {offset}) is outside the section ({4 * nr_words} bytes)",
            where=SECTION,
        )
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
        raise BtfIdsError(
            f"set {name}: {counted_is(size, 'byte')} too few for its count", where=SECTION
        )
    count = size // element - 1
    room = (4 * (nr_words - at)) // element - 1
    if room < 0:
        raise BtfIdsError(f"set {name}: its count has no room", where=SECTION)
    return IdSet(name, at, min(count, room), is_set8, count)


_at = attrgetter("at")
_place = itemgetter(0)


def _check_numbers(slots: list[Slot], sets: list[IdSet], nr_words: int) -> None:
    if sum(id_set.length for id_set in sets) > _MOST_OF_A_WORD * nr_words:
        raise BtfIdsError("too many sets overlap", where=SECTION)
    shared = max(Counter(slot.at for slot in slots).values(), default=0)
    if shared > _MOST_OF_A_WORD:
        raise BtfIdsError(f"{shared} slots share a word", where=SECTION)
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
