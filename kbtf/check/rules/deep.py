# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Changes between two kernels in the types that a module reaches.

When it relocates a module's BTF, the kernel compares names and some sizes, never members; and
relocating BTF does not change code that was compiled for the old layout.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from kbtf.btf.c_type_name import c_name, shown, spell
from kbtf.btf.equivalence import Same
from kbtf.btf.kinds import COMPOSITES, ENUMS, QUALIFIERS, Kind
from kbtf.btf.relocate import relocate
from kbtf.check.reach import reach
from kbtf.errors import BtfError
from kbtf.findings.deep import DEEP
from kbtf.say import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.btf.btf import Btf, BtfType
    from kbtf.check.reach import Reached
    from kbtf.findings.finding import Finding

# Anonymous structs that are expanded for one named struct: bad input can make them multiply.
_MOST_OPENED = 1000
_MOST_PAIRS = 50_000  # types that are compared with more than one of the same name
# The cost of a struct's fields: the bytes of their paths, and some for each.
_MOST_WORK, _WORK_OF_A_FIELD = 16 << 20, 100


def compare_deep(split: Btf, old: Btf, new: Btf) -> list[Finding]:
    """Findings on the types of *old* that a module reaches and that differ in *new*.

    *split* is split BTF on *old*; on a distilled base it is relocated onto *old* first, which may
    raise RelocationError.  `kbtf.check.reach.reach` defines which types are reached: those that
    the module's own types and functions refer to, directly or through pointers, and those that
    these hold by value, but not types that only pointers in kernel structs lead to.

    Types are matched by name, anonymous ones by structure.  Qualifiers, type tags, names of
    parameters, and names of integer types of the same size and sign do not count.  If *new* has
    several types of a name, the one with the fewest differences is used.  Findings are sorted by
    the types' names.
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
        self._found: dict[tuple[Btf, str, frozenset[Kind]], list[BtfType]] = {}
        self._left = _MOST_PAIRS

    def is_from(self, old: Btf, own: BtfType) -> bool:
        """Whether a typedef of the split is the kernel's, moved there by distilling."""
        same = Same(self.split, old)
        return any(
            same(own.size_or_type, theirs.size_or_type)
            for theirs in self._find(old, own.name, frozenset({own.kind}))
        )

    def _find(self, btf: Btf, name: str, kinds: frozenset[Kind]) -> list[BtfType]:
        """The types of a name to compare; their number is limited, because each costs time."""
        key = (btf, name, kinds)
        if key not in self._found:
            self._found[key] = btf.find_all(name, *kinds)
        self._left -= max(0, len(self._found[key]) - 1)
        if self._left < 0:
            raise BtfError("has too many types of one name to compare", where=shown(name))
        return self._found[key]

    def compare(self, t: BtfType, reached: Reached) -> list[Finding]:
        if t.kind in COMPOSITES:
            return self._composite(t, reached)
        if t.kind in ENUMS:
            name = c_name(t)
            found = self._find(self.new, t.name, ENUMS)
            if not found:
                return [DEEP.finding("type-gone", "gone", type=name)]
            return _fewest(list(_compare_enums(name, t, other)) for other in found)
        found = self._find(self.new, t.name, frozenset({Kind.TYPEDEF}))
        return _fewest(list(self._typedef(t, other)) for other in found)

    def _composite(self, t: BtfType, reached: Reached) -> list[Finding]:
        name = c_name(t)
        found = self._find(self.new, t.name, frozenset({t.kind}))
        if found:
            return _fewest(list(self._layouts(name, t, other, reached)) for other in found)
        others = self._find(self.new, t.name, COMPOSITES)
        if others:
            return [DEEP.finding("kind-changed", type=name, now=c_name(others[0]))]
        declared = self._find(self.new, t.name, frozenset({Kind.FWD}))
        return [DEEP.finding("type-gone", "declared" if declared else "gone", type=name)]

    def _layouts(
        self, name: str, t: BtfType, other: BtfType, reached: Reached
    ) -> Iterator[Finding]:
        if t.size != other.size:
            yield _resized(name, t, other, reached)
        yield from self._members(name, t, other)

    def _typedef(self, t: BtfType, other: BtfType) -> Iterator[Finding]:
        name = f"typedef {shown(t.name)}"
        one = self.split.skip(t.size_or_type, QUALIFIERS)
        two = self.new.skip(other.size_or_type, QUALIFIERS)
        nameless = not one.name and not two.name
        if nameless and one.kind is two.kind and one.kind in COMPOSITES:
            if one.size != two.size:
                yield DEEP.finding("typedef-changed", "resized", type=name, **_sizes(one, two))
            yield from self._members(name, one, two)
        elif nameless and one.kind in ENUMS and two.kind in ENUMS:
            yield from _compare_enums(name, one, two)
        elif not self.same(one.id, two.id):
            change = self._change(one.id, two.id)
            yield DEEP.finding("typedef-changed", change.case, type=name, **change.fields)

    def _members(self, name: str, t: BtfType, other: BtfType) -> Iterator[Finding]:
        """The changes of a struct's members, including those of anonymous structs in it."""
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
                yield DEEP.finding("member-gone", type=name, member=shown(field.path))
                continue
            kept.setdefault(field.parent, []).append((field, now))
            change = self._member_change(field, now)
            if change is not None:
                if field.is_nameless or now.is_nameless:
                    lost.add(field.path)
                fields = {"type": name, "member": shown(field.path), **change.fields}
                yield DEEP.finding("member-changed", change.case, **fields)
        for siblings in kept.values():
            yield from _moved([old for old, _ in siblings], [now for _, now in siblings], name)
        if t.size == other.size:
            for field in news.values():
                is_first = not field.twin and (not field.parent or field.parent in olds)
                if field.path not in olds and is_first:
                    yield DEEP.finding("member-added", type=name, member=shown(field.path))

    def _member_change(self, field: _Field, now: _Field) -> _Change | None:
        if field.is_nameless and now.is_nameless:
            # their contents are compared member by member
            kinds = [f.btf.skip(f.type, QUALIFIERS).kind.name.lower() for f in (field, now)]
            return _Change(f"a {kinds[0]}", f"a {kinds[1]}") if kinds[0] != kinds[1] else None
        if not self.same(field.type, now.type):
            return self._change(field.type, now.type)
        if field.width != now.width:
            return _Change(*(counted(f.width, "bit") if f.width else "whole" for f in (field, now)))
        return None

    def _change(self, one: int, two: int) -> _Change:
        return _Change(spell(self.split, one), spell(self.new, two))


class _Change(NamedTuple):
    """The old and the new spelling of a type; they may be equal."""

    was: str
    now: str

    @property
    def case(self) -> str:
        return "alike" if self.was == self.now else "spelt"

    @property
    def fields(self) -> dict[str, str]:
        return {"was": self.was} if self.was == self.now else self._asdict()


def _sizes(one: BtfType, two: BtfType) -> dict[str, object]:
    return {"was": counted(one.size or 0, "byte"), "now": two.size}


def _fewest(candidates: Iterable[list[Finding]]) -> list[Finding]:
    return min(candidates, key=len, default=[])


def _resized(name: str, t: BtfType, other: BtfType, reached: Reached) -> Finding:
    sizes = _sizes(t, other)
    if t.id in reached.embedded:
        use = reached.embedded[t.id]
        return DEEP.finding("embedded-resized", type=name, use=use, **sizes)
    if t.id in reached.by_value:
        use = reached.by_value[t.id]
        return DEEP.finding("by-value-resized", type=name, use=use, **sizes)
    return DEEP.finding("resized", type=name, **sizes)


class _Field(NamedTuple):
    """A member, or a member of an anonymous struct or union inside."""

    path: str
    """``a.b`` as in C: anonymous structs and unions are left out."""
    parent: str
    """The path of the member that contains it, empty for the struct itself."""
    btf: Btf
    type: int
    offset: int
    """In bits, from the start of the outermost struct."""
    within: int
    """The same from the start of *parent*."""
    width: int
    is_nameless: bool
    """Whether its type is anonymous; then its members follow."""
    twin: str
    """The path of the same member outside *parent*, as created by the kernel's struct_group();
    empty if there is none."""


def _fields(t: BtfType) -> dict[str, _Field]:
    """All members by path, in the order in which C has them."""
    found: dict[str, _Field] = {}
    opened = 0
    left = _MOST_WORK
    levels = [_members_of(t, "", 0, 0)]
    while levels:
        field = next(levels[-1], None)
        if field is None:
            levels.pop()
            continue
        left -= _WORK_OF_A_FIELD + len(field.path)
        if left < 0:
            raise BtfError("has too many members, or too long names, to compare", where=c_name(t))
        inner = t.btf.skip(field.type, QUALIFIERS)
        opens = inner.kind in COMPOSITES and not inner.name and opened < _MOST_OPENED
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
    """The members of a struct at *offset* in the outermost struct and *within* its parent."""
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
    """Whether *field* changed in the same way as its twin."""
    now = news.get(field.path)
    return field.twin not in news if now is None else now.twin == field.twin


def _moved(olds: list[_Field], news: list[_Field], name: str) -> Iterator[Finding]:
    """Members that moved; consecutive ones that moved by the same distance are one finding."""
    pairs = zip(olds, news, strict=True)
    for distance, group in groupby(pairs, lambda pair: pair[1].within - pair[0].within):
        (old, new), *behind = group
        if distance:
            places = {"was": _place(old, new), "now": _place(new, old)}
            fields = {"type": name, "member": shown(old.path), **places}
            yield _with_behind("member-moved", len(behind), fields)


def _place(field: _Field, other: _Field) -> str:
    in_bytes = not (field.width or other.width or field.offset % 8 or other.offset % 8)
    return f"byte {field.offset // 8}" if in_bytes else f"bit {field.offset}"


def _with_behind(code: str, behind: int, fields: dict[str, Any]) -> Finding:
    """A finding that also applies to *behind* more items after the first."""
    if behind < 2:
        return DEEP.finding(code, "two" if behind else "alone", **fields)
    return DEEP.finding(code, "more", behind=behind, **fields)


def _compare_enums(name: str, t: BtfType, other: BtfType) -> Iterator[Finding]:
    if t.size != other.size:
        yield DEEP.finding("enum-changed", "resized", type=name, **_sizes(t, other))
    now = {enumerator.name: enumerator.value for enumerator in other.enumerators}
    for enumerator in t.enumerators:
        if enumerator.name not in now:
            yield DEEP.finding("enum-changed", "gone", type=name, value=shown(enumerator.name))
    kept = [enumerator for enumerator in t.enumerators if enumerator.name in now]
    for distance, group in groupby(kept, lambda one: now[one.name] - one.value):
        first, *behind = group
        if distance:
            values = {"was": first.value, "now": now[first.name]}
            fields = {"type": name, "value": shown(first.name), **values}
            yield _with_behind("enum-changed", len(behind), fields)
