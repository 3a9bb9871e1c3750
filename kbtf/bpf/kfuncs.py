# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The contents of a module's ``.BTF_ids``: sets and lists with their names, ids and flags.

Resolving a set sorts its pairs, so they are no longer where their symbols point: the function is
then known from the id, and from the symbol before.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from kbtf.bpf.proto import declaration
from kbtf.bpf.registrations import read_registrations
from kbtf.btf.kinds import KFUNC_TAG, Kind
from kbtf.errors import BtfError, located
from kbtf.ids.btf_ids import (
    PREFIX,
    REGISTER_FMODRET,
    REGISTER_KFUNCS,
    SECTION,
    TRACEPOINT_LISTS,
    imports,
    read_ids,
)

if TYPE_CHECKING:
    from kbtf.bpf.registrations import Registration
    from kbtf.btf.btf import Btf, BtfType
    from kbtf.elf.image import ElfImage
    from kbtf.elf.module import Module
    from kbtf.ids.btf_ids import BtfIds, IdSet, Slot


class GroupKind(Enum):
    """What a set or list is for."""

    KFUNCS = "kfunc set"
    FMODRET = "fmodret set"
    """Functions whose result BPF programs may replace; they have the flags of kfuncs."""
    SET8 = "set8"
    """A set of kfuncs that lacks the flag of one."""
    SET = "set"
    LIST = "list"
    DTORS = "dtor table"
    TRACEPOINTS = "tracepoint list"
    TAGGED = "bpf_kfunc tags"
    """Not a set: the kfuncs that the tags in raw BTF name; their flags are not known."""

    @property
    def has_flags(self) -> bool:
        """Its ids come with flags."""
        return self in (GroupKind.KFUNCS, GroupKind.FMODRET, GroupKind.SET8)

    @property
    def has_kfuncs(self) -> bool:
        """BPF programs may call its functions."""
        return self in (GroupKind.KFUNCS, GroupKind.SET8)


class Entry(NamedTuple):
    """One id of a set or list."""

    name: str
    """Empty if there is no type with that id."""
    kind: Kind | None
    id: int
    """As in the section: 0 if it is not resolved."""
    flags: int
    type: BtfType | None
    """The kind of the type with the id, or of the one the symbol names if it is not resolved."""

    @property
    def func(self) -> BtfType | None:
        """The FUNC, if the id is of one with a prototype."""
        func = self.type
        if func is None or func.kind is not Kind.FUNC:
            return None
        return func if func.btf[func.size_or_type].kind is Kind.FUNC_PROTO else None

    @property
    def prototype(self) -> str | None:
        """In C, in one line; None if there is none, or if C cannot express it."""
        if self.func is None:
            return None
        try:
            text = declaration(self.func.btf, self.func.size_or_type, self.func.name)
        except BtfError:
            return None
        return " ".join(text.split())


class Group(NamedTuple):
    """A set or list."""

    name: str
    kind: GroupKind
    is_resolved: bool
    entries: tuple[Entry, ...]
    number: int
    """The count that the set states; for lists, the number of ids."""
    symbols: tuple[Slot, ...]
    """The names in its symbols, in the order of the source."""


class Kfuncs(NamedTuple):
    """The sets and lists of a module, and the facts that an audit needs."""

    path: str
    btf: Btf | None
    groups: tuple[Group, ...]
    imports: frozenset[str]
    """Names of undefined symbols: the kernel functions that it calls."""
    outside: tuple[str, ...]
    """Symbols of ids outside ``.BTF_ids``."""
    unrelocated: tuple[str, ...]
    """Lists, whose ids no kernel relocates."""
    is_distilled: bool
    has_ids: bool
    """Whether it has the section, with or without symbols."""
    release: str | None
    """The release of the kernel that it was built for."""
    is_raw_btf: bool
    """Whether it is raw BTF, as a running kernel shows it, which has no sets."""
    registrations: tuple[Registration, ...]
    """The hooks that its sets are registered for, as far as its code shows them."""


def read_kfuncs(module: Module) -> Kfuncs:
    """The sets and lists of a module; KbtfError if its BTF or ``.BTF_ids`` cannot be read."""
    image = module.image
    with located(module.path):
        ids = read_ids(image)
    btf = module.btf
    if btf is not None:
        with located(module.path, ".BTF"):
            btf.check_fit()
    imported = imports(image)
    unrelocated = tuple(ids.unrelocated_lists(image)) if ids is not None else ()
    groups = _groups(ids, btf, imported, unrelocated) if ids is not None else []
    if module.is_raw_btf and btf is not None:
        groups += _tagged_group(btf)
    return Kfuncs(
        path=module.path,
        btf=btf,
        groups=tuple(groups),
        imports=imported,
        outside=tuple(_outside(image)),
        unrelocated=unrelocated,
        is_distilled=module.has_btf_base,
        has_ids=bool(module.btf_ids),
        release=module.release,
        is_raw_btf=module.is_raw_btf,
        registrations=tuple(_registrations(module, imported)),
    )


def _registrations(module: Module, imported: frozenset[str]) -> list[Registration]:
    if REGISTER_KFUNCS not in imported:
        return []
    with located(module.path):
        return read_registrations(module.image.to_bytes())


def kfunc_groups(image: ElfImage, btf: Btf) -> list[Group]:
    """The sets and lists of a kernel, whose types are *btf*; empty if it has none with symbols."""
    ids = read_ids(image)
    return _groups(ids, btf, frozenset(), ()) if ids is not None else []


def kfunc_names(image: ElfImage) -> set[str]:
    """The functions that symbols of kfunc sets name, in a module or vmlinux, resolved or not."""
    ids = read_ids(image)
    if ids is None:
        return set()
    groups = _groups(ids, None, imports(image), ())
    return {slot.name for group in groups if group.kind.has_kfuncs for slot in group.symbols}


def _outside(image: ElfImage) -> list[str]:
    section = image.section(SECTION)
    number = section.number if section is not None else None
    return [
        symbol.name
        for symbol in image.symbols()
        if symbol.name.startswith(PREFIX) and symbol.shndx not in (0, number)
    ]


def _groups(
    ids: BtfIds, btf: Btf | None, imported: frozenset[str], unrelocated: tuple[str, ...]
) -> list[Group]:
    groups = [_read_set(ids, id_set, btf, imported) for id_set in ids.sets]
    for name, slots in ids.list_members.items():
        kind = GroupKind.LIST
        if name.startswith(TRACEPOINT_LISTS):
            kind = GroupKind.TRACEPOINTS
        elif name not in unrelocated:
            kind = GroupKind.DTORS
        entries = tuple(_named_by_symbol(ids, slot, btf, 0) for slot in slots)
        resolved = any(entry.id for entry in entries)
        groups.append(Group(name, kind, resolved, entries, len(entries), tuple(slots)))
    return groups


def _tagged_group(btf: Btf) -> list[Group]:
    funcs = tagged_kfuncs(btf)
    entries = tuple(Entry(func.name, func.kind, func.id, 0, func) for func in funcs)
    return [Group("", GroupKind.TAGGED, True, entries, len(entries), ())] if entries else []


def tagged_kfuncs(btf: Btf) -> list[BtfType]:
    """The functions with the tag bpf_kfunc among the own types of *btf*, not of its base."""
    tags = btf.find_all(KFUNC_TAG, Kind.DECL_TAG)
    tagged = {tag.size_or_type for tag in tags if tag.id >= btf.start_id}
    return [btf[func] for func in sorted(tagged) if btf[func].kind is Kind.FUNC]


def _read_set(ids: BtfIds, id_set: IdSet, btf: Btf | None, imported: frozenset[str]) -> Group:
    slots = tuple(ids.slots_of(id_set))
    count = ids.words[id_set.at]
    resolved = bool(count) or any(ids.words[at] for at in id_set.id_words)
    if resolved or not id_set.length:
        flags = 1 if id_set.is_set8 else 0
        entries = [
            _named_by_id(ids.words[at], ids.words[at + 1] if flags else 0, btf)
            for at in id_set.id_words
        ]
    else:
        entries = [
            _named_by_symbol(ids, slot, btf, ids.words[slot.at + 1] if id_set.is_set8 else 0)
            for slot in slots
        ]
    kind = GroupKind.SET
    if id_set.is_set8:
        only_fmodret = REGISTER_FMODRET in imported and REGISTER_KFUNCS not in imported
        kind = GroupKind.KFUNCS if ids.is_kfunc_set(id_set) else GroupKind.SET8
        kind = GroupKind.FMODRET if only_fmodret else kind
    return Group(id_set.name, kind, resolved, tuple(entries), count, slots)


def _named_by_id(type_id: int, flags: int, btf: Btf | None) -> Entry:
    if btf is None or not 0 < type_id < btf.end_id:
        return Entry("", None, type_id, flags, None)
    found = btf[type_id]
    return Entry(found.name, found.kind, type_id, flags, found)


def _named_by_symbol(ids: BtfIds, slot: Slot, btf: Btf | None, flags: int) -> Entry:
    type_id = ids.words[slot.at]
    if type_id and btf is not None:
        entry = _named_by_id(type_id, flags, btf)
        return entry if entry.name else entry._replace(name=slot.name)
    found = btf.find(slot.name, slot.kind) if btf is not None else None
    return Entry(slot.name, slot.kind, type_id, flags, found)
