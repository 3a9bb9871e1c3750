"""What a module's ``.BTF_ids`` offers: sets and lists with the names, ids and flags in them.

Once a set is resolved its pairs are sorted, and no longer stand where their symbols point: then it
is the id that says which function is meant, before that it is the symbol.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from kbtf.bpf.proto import declaration
from kbtf.btf import _native
from kbtf.btf.kinds import Kind
from kbtf.btf_ids import PREFIX, SECTION, TRACEPOINT_LISTS, read_ids
from kbtf.elf.module import located
from kbtf.errors import BtfError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf, BtfType
    from kbtf.btf_ids import BtfIds, IdSet, Slot
    from kbtf.elf.image import ElfImage
    from kbtf.elf.module import Module

REGISTER_KFUNCS = "register_btf_kfunc_id_set"
REGISTER_FMODRET = "register_btf_fmodret_id_set"


class GroupKind(Enum):
    """What a set or list is for."""

    KFUNCS = "kfunc set"
    FMODRET = "fmodret set"
    """Functions whose result BPF programs may replace; their flags are those of kfuncs."""
    SET8 = "set8"
    """Of kfuncs as well, but it does not say so."""
    SET = "set"
    LIST = "list"
    DTORS = "dtor table"
    TRACEPOINTS = "tracepoint list"

    @property
    def has_flags(self) -> bool:
        """Its ids come with flags."""
        return self in (GroupKind.KFUNCS, GroupKind.FMODRET, GroupKind.SET8)

    @property
    def has_kfuncs(self) -> bool:
        """BPF programs are to call what is in it."""
        return self in (GroupKind.KFUNCS, GroupKind.SET8)


class Entry(NamedTuple):
    """One id of a set or list."""

    name: str
    """Empty if the id is that of no type."""
    kind: Kind | None
    id: int
    """As it stands in the section: 0 if it is not resolved."""
    flags: int
    type: BtfType | None
    """What the id is of, or what the symbol names if it is not resolved."""

    @property
    def func(self) -> BtfType | None:
        """The FUNC, if it is one with a prototype."""
        func = self.type
        if func is None or func.kind is not Kind.FUNC:
            return None
        return func if func.btf[func.size_or_type].kind is Kind.FUNC_PROTO else None

    @property
    def prototype(self) -> str | None:
        """In C, in one line; None if there is none, or none that C has words for."""
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
    """What the set itself says that it holds; for lists what they hold."""
    symbols: tuple[Slot, ...]
    """What its symbols name, in the order of the source."""


class Kfuncs(NamedTuple):
    """What a module has to offer, and what an audit of that needs to know of it."""

    path: str
    btf: Btf | None
    groups: tuple[Group, ...]
    imports: frozenset[str]
    """Names of undefined symbols: what it calls of the kernel."""
    outside: tuple[str, ...]
    """Symbols of ids that are in another section than ``.BTF_ids``."""
    unrelocated: tuple[str, ...]
    """Lists whose ids no kernel relocates."""
    is_distilled: bool
    has_ids: bool
    """It has the section, with symbols or without."""


def read_kfuncs(module: Module) -> Kfuncs:
    """The sets and lists of a module; KbtfError if its BTF or ``.BTF_ids`` cannot be read."""
    image = module.image
    with located(module.path):
        ids = read_ids(image)
    btf = module.btf
    if btf is not None:
        with located(module.path, ".BTF"):
            _native.check_fit(btf.index)
    imports = frozenset(s.name for s in image.symbols() if s.shndx == 0 and s.name)
    unrelocated = tuple(ids.unrelocated_lists(image)) if ids is not None else ()
    return Kfuncs(
        path=module.path,
        btf=btf,
        groups=tuple(_groups(ids, btf, imports, unrelocated)) if ids is not None else (),
        imports=imports,
        outside=tuple(_outside(image)),
        unrelocated=unrelocated,
        is_distilled=module.has_btf_base,
        has_ids=bool(module.btf_ids),
    )


def _outside(image: ElfImage) -> list[str]:
    section = image.section(SECTION)
    number = section.number if section is not None else None
    return [
        symbol.name
        for symbol in image.symbols()
        if symbol.name.startswith(PREFIX) and symbol.shndx not in (0, number)
    ]


def _groups(
    ids: BtfIds, btf: Btf | None, imports: frozenset[str], unrelocated: tuple[str, ...]
) -> list[Group]:
    groups = [_read_set(ids, id_set, btf, imports) for id_set in ids.sets]
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


def _read_set(ids: BtfIds, id_set: IdSet, btf: Btf | None, imports: frozenset[str]) -> Group:
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
        only_fmodret = REGISTER_FMODRET in imports and REGISTER_KFUNCS not in imports
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
