"""What changed between two kernels in the types that a module reaches.

The kernel compares names and some sizes when it relocates a module's BTF, never members; and code
that was compiled for the old layout does not change with the BTF.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind
from kbtf.btf.relocate import relocate
from kbtf.check.model import Finding, Severity
from kbtf.check.reach import reach
from kbtf.check.same import Same
from kbtf.check.spell import QUALIFIERS, counted, skip, spell
from kbtf.check.uses import c_name
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.btf.btf import Btf, BtfType
    from kbtf.check.reach import Reached

_COMPOSITE = (Kind.STRUCT, Kind.UNION)
_ENUM = (Kind.ENUM, Kind.ENUM64)
# Nameless structs that are looked into for one with a name: bad input can have them multiply.
_MOST_OPENED = 1000


def compare_deep(split: Btf, old: Btf, new: Btf) -> list[Finding]:
    """Findings on the types of *old* that a module reaches and that are others in *new*.

    *split* is split BTF on *old*; on a distilled base it is relocated onto *old* first, which may
    raise RelocationError.  What counts as reached says `kbtf.check.reach.reach`: what the module's
    own types and functions refer to, directly or through pointers, and what those hold by value,
    but not what is only behind pointers of kernel structs.

    Types are the same if they have the same name; what has none is compared by its structure.
    Qualifiers, type tags and the names of parameters do not count, nor does how an integer type of
    the same size and sign is called.  Where *new* has several types of a name, the one with the
    fewest differences is taken.  In the order of the types' names.
    """
    if split.base is not old:
        same = split.base is not None and split.base.to_bytes() == old.to_bytes()
        split = split if same else relocate(split, old)
    reached = reach(split)
    comparison = _Comparison(split, new)
    found: list[Finding] = []
    for t in sorted((split[at] for at in reached.types), key=lambda t: (t.name, t.kind, t.id)):
        if t.id < split.start_id or comparison.is_from(old, t):
            found += comparison.compare(t, reached)
    return list(dict.fromkeys(found))


class _Comparison:
    def __init__(self, split: Btf, new: Btf) -> None:
        self.split = split
        self.new = new
        self.same = Same(split, new)

    def is_from(self, old: Btf, own: BtfType) -> bool:
        """A typedef of the split is the kernel's, which distilling moved there."""
        same = Same(self.split, old)
        return any(
            same(own.size_or_type, theirs.size_or_type)
            for theirs in old.find_all(own.name, own.kind)
        )

    def compare(self, t: BtfType, reached: Reached) -> list[Finding]:
        if t.kind in _COMPOSITE:
            return self._composite(t, reached)
        if t.kind in _ENUM:
            name = c_name(t)
            found = self.new.find_all(t.name, *_ENUM)
            if not found:
                return [_warning("type-gone", f"{name} is gone", name)]
            return _fewest(list(_compare_enums(name, t, other)) for other in found)
        found = self.new.find_all(t.name, Kind.TYPEDEF)
        return _fewest(list(self._typedef(t, other)) for other in found)

    def _composite(self, t: BtfType, reached: Reached) -> list[Finding]:
        name = c_name(t)
        found = self.new.find_all(t.name, t.kind)
        if found:
            return _fewest(list(self._layouts(name, t, other, reached)) for other in found)
        others = self.new.find_all(t.name, *_COMPOSITE)
        if others:
            text = f"{name} is now {c_name(others[0])}"
            return [_warning("kind-changed", text, name)]
        declared = self.new.find_all(t.name, Kind.FWD)
        text = f"{name} is now only declared" if declared else f"{name} is gone"
        return [_warning("type-gone", text, name)]

    def _layouts(
        self, name: str, t: BtfType, other: BtfType, reached: Reached
    ) -> Iterator[Finding]:
        if t.size != other.size:
            yield _resized(name, t, other, reached)
        yield from self._members(name, t, other)

    def _typedef(self, t: BtfType, other: BtfType) -> Iterator[Finding]:
        name = f"typedef {t.name}"
        one = skip(self.split, t.size_or_type, QUALIFIERS)
        two = skip(self.new, other.size_or_type, QUALIFIERS)
        nameless = not one.name and not two.name
        if nameless and one.kind is two.kind and one.kind in _COMPOSITE:
            if one.size != two.size:
                text = f"{name}: was {counted(one.size or 0, 'byte')}, is now {two.size}"
                yield _warning("typedef-changed", text, name)
            yield from self._members(name, one, two)
        elif nameless and one.kind in _ENUM and two.kind in _ENUM:
            yield from _compare_enums(name, one, two)
        elif not self.same(one.id, two.id):
            change = self._change(one.id, two.id)
            yield _warning("typedef-changed", f"{name}: {change}", name)

    def _members(self, name: str, t: BtfType, other: BtfType) -> Iterator[Finding]:
        """What became of the members of a struct, those of nameless ones in it included."""
        olds, news = _fields(t), _fields(other)
        lost: set[str] = set()
        kept: dict[str, list[tuple[_Field, _Field]]] = {}
        for field in olds.values():
            if field.parent in lost:
                lost.add(field.path)
                continue
            now = news.get(field.path)
            if field.twin and _twins_in(news, field):
                continue
            if now is None:
                lost.add(field.path)
                yield _warning("member-gone", f"{name}: member '{field.path}' is gone", name)
                continue
            kept.setdefault(field.parent, []).append((field, now))
            change = self._member_change(field, now)
            if change:
                if field.is_nameless or now.is_nameless:
                    lost.add(field.path)
                text = f"{name}: member '{field.path}' {change}"
                yield _warning("member-changed", text, name)
        for siblings in kept.values():
            yield from _moved([old for old, _ in siblings], [now for _, now in siblings], name)
        if t.size == other.size:
            for field in news.values():
                is_first = not field.twin and (not field.parent or field.parent in olds)
                if field.path not in olds and is_first:
                    text = f"{name}: member '{field.path}' was added, its size is the same"
                    yield Finding(Severity.NOTE, "member-added", text, name)

    def _member_change(self, field: _Field, now: _Field) -> str | None:
        if field.is_nameless and now.is_nameless:
            # what is in them is compared member by member
            kinds = [skip(f.btf, f.type, QUALIFIERS).kind.name.lower() for f in (field, now)]
            return f"was a {kinds[0]}, is now a {kinds[1]}" if kinds[0] != kinds[1] else None
        if not self.same(field.type, now.type):
            return self._change(field.type, now.type)
        if field.width != now.width:
            widths = [counted(f.width, "bit") if f.width else "whole" for f in (field, now)]
            return f"was {widths[0]}, is now {widths[1]}"
        return None

    def _change(self, one: int, two: int) -> str:
        was, now = spell(self.split, one), spell(self.new, two)
        return f"was {was}, is now {now}" if was != now else f"{was} is another than it was"


def _fewest(candidates: Iterable[list[Finding]]) -> list[Finding]:
    return min(candidates, key=len, default=[])


def _warning(code: str, text: str, name: str) -> Finding:
    return Finding(Severity.WARNING, code, text, name)


def _resized(name: str, t: BtfType, other: BtfType, reached: Reached) -> Finding:
    text = f"{name}: was {counted(t.size or 0, 'byte')}, is now {other.size}"
    if t.id in reached.embedded:
        return _warning("embedded-resized", f"{text}; it is {reached.embedded[t.id]}", name)
    if t.id in reached.by_value:
        return _warning("by-value-resized", f"{text}; it is {reached.by_value[t.id]}", name)
    return Finding(Severity.NOTE, "resized", text, name)


class _Field(NamedTuple):
    """A member, or one of a nameless struct or union inside."""

    path: str
    """``union.member`` of C, nameless ones left out: ``a.b``."""
    parent: str
    """The path of the member that it is in, empty for the struct itself."""
    btf: Btf
    type: int
    offset: int
    """In bits, from the start of the whole."""
    within: int
    """The same from the start of *parent*."""
    width: int
    is_nameless: bool
    """Its type has no name, and its members follow."""
    twin: str
    """The path of the same member outside of *parent*, as the kernel's struct_group() makes them;
    empty if there is none."""


def _fields(t: BtfType) -> dict[str, _Field]:
    """All members by path, in the order in which C has them."""
    found: dict[str, _Field] = {}
    opened = 0
    levels = [_members_of(t, "", 0, 0)]
    while levels:
        field = next(levels[-1], None)
        if field is None:
            levels.pop()
            continue
        inner = skip(t.btf, field.type, QUALIFIERS)
        opens = inner.kind in _COMPOSITE and not inner.name and opened < _MOST_OPENED
        opened += opens
        if field.path != field.parent:
            twin = _twin(found, field)
            found[field.path] = field._replace(is_nameless=opens, twin=twin)
            if opens:
                levels.append(_members_of(inner, field.path, field.offset, 0))
        elif opens:
            levels.append(_members_of(inner, field.path, field.offset, field.within))
    return found


def _members_of(t: BtfType, parent: str, offset: int, within: int) -> Iterator[_Field]:
    """The members of a struct at *offset* of the whole and *within* its parent."""
    for member in t.members:
        yield _Field(
            path=".".join(filter(None, (parent, member.name))),
            parent=parent,
            btf=t.btf,
            type=member.type,
            offset=offset + member.offset,
            within=within + member.offset,
            width=member.bit_size,
            is_nameless=False,
            twin="",
        )


def _twin(found: dict[str, _Field], field: _Field) -> str:
    if not field.parent:
        return ""
    above = found[field.parent].parent
    name = field.path[len(field.parent) + 1 :]
    path = f"{above}.{name}" if above else name
    other = found.get(path)
    if other is None or (other.offset, other.width) != (field.offset, field.width):
        return ""
    return path


def _twins_in(news: dict[str, _Field], field: _Field) -> bool:
    """What became of *field* is what became of its twin."""
    now = news.get(field.path)
    return field.twin not in news if now is None else now.twin == field.twin


def _moved(olds: list[_Field], news: list[_Field], name: str) -> Iterator[Finding]:
    """Members that are elsewhere, those in a row that moved alike in one finding."""
    pairs = zip(olds, news, strict=True)
    for distance, group in groupby(pairs, lambda pair: pair[1].within - pair[0].within):
        (old, new), *behind = group
        if distance:
            text = f"{name}: member '{old.path}' moved from {_place(old, new)} "
            text += f"to {_place(new, old)}{_and_more(len(behind), 'member')}"
            yield _warning("member-moved", text, name)


def _place(field: _Field, other: _Field) -> str:
    in_bytes = not (field.width or other.width or field.offset % 8 or other.offset % 8)
    return f"byte {field.offset // 8}" if in_bytes else f"bit {field.offset}"


def _and_more(number: int, noun: str) -> str:
    if not number:
        return ""
    return f", and the {noun if number == 1 else f'{number} {noun}s'} behind it by as much"


def _compare_enums(name: str, t: BtfType, other: BtfType) -> Iterator[Finding]:
    if t.size != other.size:
        text = f"{name}: was {counted(t.size or 0, 'byte')}, is now {other.size}"
        yield _warning("enum-changed", text, name)
    now = {enumerator.name: enumerator.value for enumerator in other.enumerators}
    for enumerator in t.enumerators:
        if enumerator.name not in now:
            yield _warning("enum-changed", f"{name}: {enumerator.name} is gone", name)
    kept = [enumerator for enumerator in t.enumerators if enumerator.name in now]
    for distance, group in groupby(kept, lambda one: now[one.name] - one.value):
        first, *behind = group
        if distance:
            text = f"{name}: {first.name} was {first.value}, is now {now[first.name]}"
            text += _and_more(len(behind), "value").replace("and the", "and so changed the")
            yield _warning("enum-changed", text, name)
