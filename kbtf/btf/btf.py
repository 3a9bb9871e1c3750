# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF as Python objects over the C core's index.

Format: Documentation/bpf/btf.rst and include/uapi/linux/btf.h of the kernel.
"""

from __future__ import annotations

import mmap
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from kbtf.btf.kinds import COMPOSITES, KINDS, MODIFIERS, REFS, SIZED, Kind, keyword
from kbtf.native._native import Index, check_fit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.native._native import BaseIndex as BaseIndex

    Data = bytes | bytearray | memoryview | mmap.mmap
    Record = tuple[int, str, bool, int, int, tuple[int, ...]]


class Member(NamedTuple):
    """A field of a STRUCT or UNION."""

    name: str
    type: int
    offset: int
    """In bits, from the start of the type."""
    bit_size: int
    """Width of a bitfield, else 0."""


class Param(NamedTuple):
    """A parameter of a FUNC_PROTO; name and type are empty and 0 for ``...``."""

    name: str
    type: int


class Enumerator(NamedTuple):
    """A value of an ENUM or ENUM64."""

    name: str
    value: int


class Array(NamedTuple):
    """The element type, index type and length of an ARRAY."""

    type: int
    index_type: int
    nelems: int


class IntEncoding(NamedTuple):
    """The encoding of an INT."""

    signed: bool
    char: bool
    bool: bool
    offset: int
    bits: int


class DatasecEntry(NamedTuple):
    """A variable or function of a DATASEC."""

    type: int
    offset: int
    size: int


_SIGNED, _CHAR, _BOOL = 1 << 24, 1 << 25, 1 << 26
_SHORT_CHAIN = 8  # types that are not cached
_SMALL = 256  # words of a type that are not cached


class BtfType(NamedTuple):
    """One type.  Properties that do not apply to its kind are None or empty."""

    btf: Btf
    id: int
    kind: Kind
    name: str
    kind_flag: bool
    vlen: int
    size_or_type: int
    words: tuple[int, ...]

    @property
    def size(self) -> int | None:
        """Size in bytes."""
        return self.size_or_type if self.kind in SIZED else None

    @property
    def type(self) -> int | None:
        """Id of the type referred to: a pointer's target, a function's prototype or return type."""
        return self.size_or_type if self.kind in REFS else None

    @property
    def keyword(self) -> str:
        """``struct``, ``union`` or ``enum``; empty for types without a tag in C."""
        return keyword(self.kind, self.kind_flag)

    @property
    def children(self) -> list[int]:
        """The ids of all types that this one refers to, in the order of the blob; void is 0."""
        words = self.words
        inner = [words[at] for at in KINDS[self.kind].id_words(len(words))]
        return [self.size_or_type, *inner] if self.kind in REFS else inner

    @property
    def members(self) -> tuple[Member, ...]:
        """Fields of a STRUCT or UNION."""
        if self.kind not in COMPOSITES:
            return ()
        string = self.btf.string
        return tuple(
            Member(string(name), type_id, offset & 0xFFFFFF, offset >> 24)
            if self.kind_flag
            else Member(string(name), type_id, offset, 0)
            for name, type_id, offset in _groups(self.words, 3)
        )

    @property
    def params(self) -> tuple[Param, ...]:
        """Parameters of a FUNC_PROTO."""
        if self.kind is not Kind.FUNC_PROTO:
            return ()
        return tuple(
            Param(self.btf.string(name), type_id) for name, type_id in _groups(self.words, 2)
        )

    @property
    def enumerators(self) -> tuple[Enumerator, ...]:
        """Values of an ENUM or ENUM64; they are signed if kind_flag is set."""
        string = self.btf.string
        if self.kind is Kind.ENUM:
            return tuple(
                Enumerator(string(name), signed(value, 32) if self.kind_flag else value)
                for name, value in _groups(self.words, 2)
            )
        if self.kind is Kind.ENUM64:
            values = ((name, high << 32 | low) for name, low, high in _groups(self.words, 3))
            return tuple(
                Enumerator(string(name), signed(value, 64) if self.kind_flag else value)
                for name, value in values
            )
        return ()

    @property
    def array(self) -> Array | None:
        """Element type, index type and length of an ARRAY."""
        return Array(*self.words) if self.kind is Kind.ARRAY else None

    @property
    def int_encoding(self) -> IntEncoding | None:
        """Encoding, offset and bits of an INT."""
        if self.kind is not Kind.INT:
            return None
        word = self.words[0]
        return IntEncoding(
            bool(word & _SIGNED),
            bool(word & _CHAR),
            bool(word & _BOOL),
            word >> 16 & 0xFF,
            word & 0xFF,
        )

    @property
    def linkage(self) -> int | None:
        """Linkage of a FUNC or VAR: 0 static, 1 global, 2 extern."""
        if self.kind is Kind.FUNC:
            return self.vlen
        return self.words[0] if self.kind is Kind.VAR else None

    @property
    def component_idx(self) -> int | None:
        """The member or parameter that a DECL_TAG applies to; -1 for the whole type."""
        return signed(self.words[0], 32) if self.kind is Kind.DECL_TAG else None

    @property
    def entries(self) -> tuple[DatasecEntry, ...]:
        """The variables of a DATASEC."""
        if self.kind is not Kind.DATASEC:
            return ()
        return tuple(DatasecEntry(*words) for words in _groups(self.words, 3))

    def __repr__(self) -> str:
        return f"<{self.kind.name} [{self.id}] {self.name!r}>"


def _groups(words: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    return zip(*[iter(words)] * size, strict=True)


def signed(value: int, bits: int) -> int:
    """An unsigned number of that many bits, taken as signed."""
    return value - (1 << bits) if value >> bits - 1 else value


class Btf:
    """Base or split BTF; it was checked when it was parsed, and never changes.

    Its length and iteration cover its own types; lookups of ids and names include the base.
    """

    __slots__ = ("_ends", "_large", "_many", "base", "data", "index", "lookup", "results")

    def __init__(self, data: Data, base: Btf | None = None) -> None:
        self.index: Index = Index(data, base.index if base is not None else None)
        self.base = base
        self.data: Data = self.index.data
        self._ends: dict[frozenset[Kind], dict[int, int]] = {}
        self._large: dict[int, Record] = {}
        self._many: dict[bytes, list[int]] = {}
        self.lookup: BaseIndex | None = None
        """The result of `kbtf.btf.deduplicate.index_base` for a base, once computed."""
        self.results: dict[object, Any] = {}
        """The results of functions that are called once for each BTF, see `kbtf.btf.cached`."""

    @classmethod
    def parse(cls, data: Data, base: Btf | None = None) -> Btf:
        """BTF from the bytes of a ``.BTF`` section; BtfError if anything reaches past their end.

        *data* may be of either byte order, and is copied only if it can be written; *base* makes
        it split BTF.
        """
        return cls(data, base)

    def to_bytes(self) -> bytes:
        """The blob as it was parsed, layout and byte order included."""
        return bytes(self.data)

    def check_fit(self) -> None:
        """BtfError if this split BTF cannot belong to its base, judging by its references."""
        check_fit(self.index)

    @property
    def byte_order(self) -> str:
        """``little`` or ``big``."""
        if self.index.foreign:
            return "big" if sys.byteorder == "little" else "little"
        return sys.byteorder

    @property
    def start_id(self) -> int:
        """The id of the first own type: 1, or where the base ends."""
        return self.index.start_id

    @property
    def end_id(self) -> int:
        """One past the highest id."""
        return self.index.end_id

    @property
    def start_str(self) -> int:
        """The offset of the first own string: 0, or where the base's end."""
        return self.index.start_str

    @property
    def end_str(self) -> int:
        """One past the highest string offset."""
        return self.index.start_str + self.index.str_len

    @property
    def header_len(self) -> int:
        """Bytes of the header: 24, or 32 with a layout."""
        return self.index.header_len

    def __len__(self) -> int:
        return self.index.end_id - self.index.start_id

    def __bool__(self) -> bool:
        return True  # also without own types: that is still BTF

    def __iter__(self) -> Iterator[BtfType]:
        return (self[type_id] for type_id in range(self.start_id, self.end_id))

    def __getitem__(self, type_id: int) -> BtfType:
        """The type with that id, here or in the base; IndexError."""
        if type_id == 0:
            return BtfType(self, 0, Kind.UNKN, "void", False, 0, 0, ())
        if type_id < 0:
            raise IndexError(f"no type [{type_id}]")
        record = self._large.get(type_id) or self.index.record(type_id)
        kind, name, kind_flag, vlen, size_or_type, words = record
        if len(words) > _SMALL:  # many types may refer to it
            self._large[type_id] = record
        return BtfType(self, type_id, Kind(kind), name, kind_flag, vlen, size_or_type, words)

    def skip(self, type_id: int, kinds: frozenset[Kind] = MODIFIERS) -> BtfType:
        """The first type of another kind in a chain of *kinds*; in a cycle, one of its types.

        An ARRAY, if that is one of *kinds*, leads to its elements.
        """
        ends = self._ends.setdefault(kinds, {})
        at = self[type_id]
        seen: dict[int, None] = {}
        while at.kind in kinds and at.id not in seen:
            end = ends.get(at.id)
            if end is not None:
                at = self[end]
                break
            seen[at.id] = None
            at = self[at.words[0] if at.kind is Kind.ARRAY else at.size_or_type]
        if len(seen) > _SHORT_CHAIN:  # bad input can have long cycles
            ends.update(dict.fromkeys(seen, at.id))
        return at

    def string(self, offset: int) -> str:
        """The string at *offset*, here or in the base; IndexError."""
        return self.index.string(offset)

    def all_strings(self) -> bytes:
        """The string tables of the base and of this BTF, concatenated."""
        return (self.base.all_strings() if self.base is not None else b"") + self.index.strings()

    def find_all(self, name: str, *kinds: Kind) -> list[BtfType]:
        """The types with that name and one of *kinds* (without *kinds*, any), ascending by id."""
        raw = name.encode("utf-8", "surrogateescape")
        found = (self[type_id] for type_id in self._find_ids(raw))
        return [t for t in found if not kinds or t.kind in kinds]

    def _find_ids(self, name: bytes) -> list[int]:
        found = self._many.get(name)
        if found is None:
            in_base = self.base._find_ids(name) if self.base is not None else []
            found = in_base + (self.lookup or self.index).find(name)
            if len(found) > _SMALL:  # it may be looked up as often
                self._many[name] = found
        return found

    def find(self, name: str, *kinds: Kind) -> BtfType | None:
        """The first type with that name and one of *kinds*, or None."""
        found = map(self.__getitem__, self._find_ids(name.encode("utf-8", "surrogateescape")))
        return next((t for t in found if not kinds or t.kind in kinds), None)

    def __repr__(self) -> str:
        what = "split BTF" if self.base is not None else "BTF"
        return f"<{what}, types {self.start_id} to {self.end_id - 1}>"
