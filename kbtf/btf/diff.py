# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Differences between the BTF of two kernels."""

from __future__ import annotations

from collections import Counter, deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.c_type_name import shown, spell
from kbtf.btf.kinds import COMPOSITES, ENUMS, KINDS, MODIFIERS, REFS, SIZED, TAGGED, Kind, keyword
from kbtf.say import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kbtf.btf.btf import Btf, BtfType

    Record = tuple[int, str, bool, int, int, tuple[int, ...]]
    Key = tuple[int, str]

# Types of one number share a namespace; those of other kinds have no name of their own.
_NAMESPACES = {
    **dict.fromkeys(TAGGED, 0),
    Kind.INT: 1,
    Kind.FLOAT: 1,
    Kind.TYPEDEF: 1,
    Kind.FUNC: 2,
    Kind.VAR: 3,
    Kind.DATASEC: 4,
}
# The kinds that sizes are reported for: a typedef of a named struct only repeats its size.
_DEFINED = COMPOSITES | ENUMS
_MOST_SIZE = 2**64 - 1  # bytes; arrays of arrays can have any number
_MOST_LINES = 2_000  # of a type


class Named(NamedTuple):
    """A type that has a name."""

    id: int
    word: str
    """``struct``, ``union``, ``enum``, ``declared struct``, ``typedef``, ``int``, ``func``, ..."""
    name: str
    size: int | None
    """In bytes; of a typedef, the size of the anonymous type that it names, if any."""

    def __str__(self) -> str:
        size = f" ({counted(self.size, 'byte')})" if self.size is not None else ""
        return f"{self.word} {shown(self.name)}{size}"


class Divergence(NamedTuple):
    """The first type id with different types."""

    id: int
    a: tuple[str, ...]
    """The type in lines, its head first; empty if A ends before."""
    b: tuple[str, ...]


class BaseDiff(NamedTuple):
    """Differences between two bases."""

    types: tuple[int, int]
    strings: tuple[int, int]
    """The number of strings, the empty one included."""
    same_strings: bool
    """Whether the string tables are equal, so that name offsets agree."""
    first: Divergence | None
    """Often a reference to a type whose id has shifted."""
    first_other: Divergence | None
    """The first id with another kind, name, size or number of items: a type was added, removed or
    changed there."""
    added: list[Named]
    removed: list[Named]
    resized: list[tuple[Named, Named]]
    changed_kind: list[tuple[Named, Named]]
    """Types that changed kind: a struct that became a union, a typedef that now names a pointer."""

    @property
    def identical(self) -> bool:
        """Whether split BTF made for one is valid for the other."""
        return self.first is None and self.same_strings


def diff_bases(a: Btf, b: Btf) -> BaseDiff:
    """Compare two bases, type by type and name by name.

    Types of one name are matched within a namespace: tags, other types, functions, variables.
    If several share a name, equal ones are matched first, then the others are paired in the order
    of their ids, those of the same kind first.  Anonymous types are only compared by id.
    """
    strings_a, strings_b = a.all_strings(), b.all_strings()
    same_strings = strings_a == strings_b
    counts = (strings_a.count(b"\0"), strings_b.count(b"\0"))
    shared = _common_prefix(strings_a, strings_b)
    records, others = a.index.record, b.index.record
    first = _first(a, b, lambda at: _same(records(at), others(at), a, b, shared))
    if first is None:
        return BaseDiff((len(a), len(b)), counts, same_strings, None, None, [], [], [], [])
    other = _first(a, b, lambda at: _same_head(records(at), others(at)))
    result = BaseDiff((len(a), len(b)), counts, same_strings, first, other, [], [], [], [])
    _match(_named(a), _named(b), result)
    return result


def _common_prefix(a: bytes, b: bytes) -> int:
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _first(a: Btf, b: Btf, same: Callable[[int], bool]) -> Divergence | None:
    end = min(a.end_id, b.end_id)
    at = next((at for at in range(1, end) if not same(at)), end)
    lines = [
        tuple(islice(_lines(btf[at]), _MOST_LINES)) if at < btf.end_id else () for btf in (a, b)
    ]
    return Divergence(at, *lines) if any(lines) else None


def _same_head(one: Record, other: Record) -> bool:
    return one[:4] == other[:4] and (one[0] in REFS or one[4] == other[4])


def _same(one: Record, other: Record, a: Btf, b: Btf, shared: int) -> bool:
    """Equal, ids included; name offsets below *shared* are the same string in both."""
    if one[:5] != other[:5]:
        return False
    words, others = one[5], other[5]
    if len(words) != len(others):
        return False
    names = KINDS[one[0]].name_words(len(words))
    if not names:
        return words == others
    if words == others and max((words[at] for at in names), default=0) < shared:
        return True
    return all(
        a.string(word) == b.string(other) if at in names else word == other
        for at, (word, other) in enumerate(zip(words, others, strict=True))
    )


def _lines(t: BtfType) -> Iterator[str]:
    """A type in full, with the ids that it refers to."""
    head = f"{t.kind.name} '{shown(t.name)}'" if t.name else t.kind.name
    if t.size is not None:
        head += f", {counted(t.size, 'byte')}"
    if t.type is not None:
        head += f", {_referred(t.btf, t.type)}"
    if t.array is not None:
        head += f", {t.array.nelems} of {_referred(t.btf, t.array.type)}"
        head += f", index {_referred(t.btf, t.array.index_type)}"
    if t.int_encoding is not None:
        head += f", encoding {t.words[0] >> 24:#x}, bits {t.int_encoding.bits}"
        head += f" at {t.int_encoding.offset}"
    if t.linkage is not None:
        head += f", linkage {t.linkage}"
    if t.component_idx is not None:
        head += f", component {t.component_idx}"
    if KINDS[t.kind].items < 0:
        head += f", {counted(t.vlen, 'item')}"
    yield head + (", kind_flag" if t.kind_flag else "")
    for member in t.members:
        width = f" ({counted(member.bit_size, 'bit')})" if member.bit_size else ""
        where = f"at bit {member.offset}{width}"
        yield f"'{shown(member.name)}' {where}: {_referred(t.btf, member.type)}"
    for param in t.params:
        yield f"'{shown(param.name)}': {_referred(t.btf, param.type)}"
    for enumerator in t.enumerators:
        yield f"'{shown(enumerator.name)}' = {enumerator.value}"
    for entry in t.entries:
        yield f"at {entry.offset}, {counted(entry.size, 'byte')}: [{entry.type}]"


def _referred(btf: Btf, type_id: int) -> str:
    return f"[{type_id}] {spell(btf, type_id)}"


def _named(btf: Btf) -> dict[Key, list[Named]]:
    found: dict[Key, list[Named]] = {}
    known: dict[int, int | None] = {}
    record = btf.index.record
    # plain numbers: this runs once a type, and an enumeration's hash is a call
    typedef, fwd = int(Kind.TYPEDEF), int(Kind.FWD)
    words = [keyword(kind, False) or kind.name.lower() for kind in Kind]
    namespaces = {int(kind): namespace for kind, namespace in _NAMESPACES.items()}
    sized = [kind in SIZED for kind in Kind]
    for at in range(btf.start_id, btf.end_id):
        kind, name, flag, _, size_or_type, _ = record(at)
        namespace = namespaces.get(kind)
        if not name or namespace is None:
            continue
        size = size_or_type if sized[kind] else None
        if kind == typedef:
            size = _size_behind(btf, size_or_type, known)
        word = words[kind] if kind != fwd else f"declared {keyword(Kind.FWD, flag)}"
        found.setdefault((namespace, name), []).append(Named(at, word, name, size))
    return found


def _size_behind(btf: Btf, type_id: int, known: dict[int, int | None]) -> int | None:
    """The size of the type that a typedef names, unless that is a pointer or a named type.

    *known* caches the result for each type on the way, because chains may share most of theirs.
    """
    record = btf.index.record
    size: int | None = None
    way: dict[int, int] = {}  # ids, each with the number of elements of the next
    while type_id and type_id not in way:
        if type_id in known:
            size = known[type_id]
            break
        number, name, _, _, size_or_type, words = record(type_id)
        if number in MODIFIERS:
            way[type_id], type_id = 1, size_or_type
        elif number == Kind.ARRAY:
            way[type_id], type_id = words[2], words[0]
        else:
            is_shown = number in SIZED and not (name and number in _DEFINED)
            known[type_id] = size = size_or_type if is_shown else None
            break
    for at, times in reversed(way.items()):
        size = None if size is None else min(times * size, _MOST_SIZE)
        known[at] = size
    return size


def _match(a: dict[Key, list[Named]], b: dict[Key, list[Named]], result: BaseDiff) -> None:
    for key in sorted(a.keys() | b.keys()):
        in_a, in_b = a.get(key, []), b.get(key, [])
        if len(in_a) == len(in_b) == 1 and in_a[0][1:] == in_b[0][1:]:
            continue
        olds, news = _unequal(in_a, in_b), _unequal(in_b, in_a)
        for old, new in [*_pairs_of_a_word(olds, news), *zip(olds, news, strict=False)]:
            is_resized = old.word == new.word and None not in (old.size, new.size)
            (result.resized if is_resized else result.changed_kind).append((old, new))
        paired = min(len(olds), len(news))
        result.removed.extend(olds[paired:])
        result.added.extend(news[paired:])


def _unequal(types: list[Named], others: list[Named]) -> list[Named]:
    """The *types* without an unmatched equal among *others*."""
    equals = Counter(other[1:] for other in others)
    left = []
    for one in types:
        if equals[one[1:]]:
            equals[one[1:]] -= 1
        else:
            left.append(one)
    return left


def _pairs_of_a_word(olds: list[Named], news: list[Named]) -> list[tuple[Named, Named]]:
    """Remove the pairs that agree in `Named.word` from both lists."""
    waiting: dict[str, deque[Named]] = {}
    for new in news:
        waiting.setdefault(new.word, deque()).append(new)
    pairs = [(old, waiting[old.word].popleft()) for old in olds if waiting.get(old.word)]
    taken_olds, taken_news = {old.id for old, _ in pairs}, {new.id for _, new in pairs}
    olds[:] = [old for old in olds if old.id not in taken_olds]
    news[:] = [new for new in news if new.id not in taken_news]
    return pairs
