# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF of less than 1 MB that is made to cost as much time and memory as it can."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kbtf import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LONG = 65_534  # bytes; no string of BTF has more


class Blob:
    """BTF that is written as fast as it is read: records and strings, unchecked."""

    def __init__(self, start_id: int = 1, start_str: int = 0) -> None:
        self.next_id = start_id
        self._records: list[bytes] = []
        self._strings = bytearray(b"" if start_str else b"\0")
        self._start_str = start_str

    def string(self, text: str) -> int:
        """A new string; its offset."""
        at = self._start_str + len(self._strings)
        self._strings += text.encode() + b"\0"
        return at

    def add(
        self, kind: Kind, name: int = 0, value: int = 0, words: Iterable[int] = (), vlen: int = 0
    ) -> int:
        """A type; its id.  *value* is its size or the type that it refers to."""
        words = tuple(words)
        info = vlen | kind << 24
        self._records.append(struct.pack(f"<{3 + len(words)}I", name, info, value, *words))
        self.next_id += 1
        return self.next_id - 1

    def struct(self, name: int, size: int, members: Iterable[tuple[int, int, int]] = ()) -> int:
        """A STRUCT of (name, type, bit offset)."""
        members = list(members)
        words = [word for member in members for word in member]
        return self.add(Kind.STRUCT, name, size, words, len(members))

    def to_bytes(self) -> bytes:
        types = b"".join(self._records)
        header = struct.pack(
            "<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(self._strings)
        )
        return header + types + bytes(self._strings)


Shape = tuple[int, int]
"""How many types or members, and of which variant."""


def _names(blob: Blob, prefix: str, count: int) -> list[int]:
    return [blob.string(f"{prefix}{number}") for number in range(count)]


def _suffixes(blob: Blob, count: int) -> list[int]:
    at = blob.string("x" * LONG)
    return [at + number % (LONG - 1) for number in range(count)]


def _anchor(blob: Blob, target: int, name: str = "anchor", count: int = 1) -> None:
    """Structs, functions and a typedef of the module's own that lead to a type."""
    size = 8 * count
    members = [(blob.string(f"m{n}"), target, 64 * n) for n in range(count)]
    holder = blob.struct(blob.string(name), size, members)
    pointer = blob.add(Kind.PTR, 0, target)
    words = [blob.string("one"), pointer, blob.string("two"), target]
    proto = blob.add(Kind.FUNC_PROTO, 0, holder, words, 2)
    blob.add(Kind.FUNC, blob.string("function"), proto, vlen=1)
    blob.add(Kind.TYPEDEF, blob.string("anchor_t"), target)


def chain(kind: Kind, length: int, times: int = 1) -> Callable[[Blob, int], None]:
    """Each type refers to the one before it; an array has *times* of it."""

    def add(blob: Blob, target: int) -> None:
        name = blob.string("t") if kind in (Kind.TYPEDEF, Kind.STRUCT, Kind.TYPE_TAG) else 0
        for _ in range(length):
            if kind is Kind.ARRAY:
                target = blob.add(kind, 0, 0, (target, 1, times))
            elif kind is Kind.STRUCT:
                target = blob.struct(name, 8, [(name, target, 0)])
            elif kind is Kind.FUNC_PROTO:
                target = blob.add(Kind.PTR, 0, blob.add(kind, 0, target, (0, target), 1))
            else:
                target = blob.add(kind, name, target)
        _anchor(blob, target)

    return add


def unnamed_chain(length: int) -> Callable[[Blob, int], None]:
    """Nameless structs in each other."""

    def add(blob: Blob, target: int) -> None:
        for _ in range(length):
            target = blob.struct(0, 8, [(0, target, 0)])
        _anchor(blob, target)

    return add


def doubling(length: int) -> Callable[[Blob, int], None]:
    """Nameless structs that hold the one before them twice."""

    def add(blob: Blob, target: int) -> None:
        size = 4
        for _ in range(length):
            target = blob.struct(
                0, min(size * 2, 2**32 - 8), [(0, target, 0), (0, target, size * 8 & 0xFFFFFFFF)]
            )
            size = min(size * 2, 2**31)
        _anchor(blob, target)

    return add


def fan(kind: Kind, length: int, members: int) -> Callable[[Blob, int], None]:
    """A chain, and a struct with very many members that lead to its end."""

    def add(blob: Blob, target: int) -> None:
        named = blob.string("t") if kind in (Kind.TYPEDEF, Kind.TYPE_TAG) else 0
        for _ in range(length):
            if kind is Kind.ARRAY:
                target = blob.add(kind, 0, 0, (target, 1, 1))
            else:
                target = blob.add(kind, named, target)
        name = blob.string("m")
        fields = [(name, target, 64 * n) for n in range(members)]
        blob.struct(blob.string("fan"), 8 * members, fields)
        _anchor(blob, target)

    return add


def suffixes(kind: Kind, count: int) -> Callable[[Blob, int], None]:
    """Types named by the suffixes of one long string."""

    def add(blob: Blob, target: int) -> None:
        for name in _suffixes(blob, count):
            if kind is Kind.STRUCT:
                blob.struct(name, 4)
            elif kind is Kind.ENUM:
                blob.add(kind, name, 4)
            else:
                blob.add(kind, name, target)
        _anchor(blob, target)

    return add


def pointed_suffixes(count: int) -> Callable[[Blob, int], None]:
    """Pointers to structs named by suffixes, all in one function's parameters."""

    def add(blob: Blob, target: int) -> None:
        words: list[int] = []
        for name in _suffixes(blob, count):
            words += (name, blob.add(Kind.PTR, 0, blob.struct(name, 4)))
        proto = blob.add(Kind.FUNC_PROTO, 0, target, words, count)
        blob.add(Kind.FUNC, blob.string("function"), proto, vlen=1)

    return add


def suffix_members(kind: Kind, count: int) -> Callable[[Blob, int], None]:
    """Members, values or parameters named by suffixes."""

    def add(blob: Blob, target: int) -> None:
        names = _suffixes(blob, count)
        name = blob.string("holder")
        if kind is Kind.STRUCT:
            fields = [(member, target, 32 * n) for n, member in enumerate(names)]
            blob.struct(name, 4 * count, fields)
        elif kind is Kind.ENUM:
            words = [word for n, member in enumerate(names) for word in (member, n)]
            blob.add(kind, name, 4, words, count)
        else:
            words = [word for member in names for word in (member, target)]
            proto = blob.add(Kind.FUNC_PROTO, 0, target, words, count)
            blob.add(Kind.FUNC, name, proto, vlen=1)
        _anchor(blob, target)

    return add


def shared_name(kind: Kind, count: int) -> Callable[[Blob, int], None]:
    """Types of one name, which all differ."""

    def add(blob: Blob, target: int) -> None:
        name = blob.string("same")
        for number in range(count):
            if kind is Kind.STRUCT:
                blob.struct(name, number + 4)
            elif kind is Kind.TYPEDEF:
                blob.add(kind, name, blob.add(Kind.PTR, 0, blob.next_id - 2 if number else target))
            else:
                blob.add(kind, name, target)
        _anchor(blob, target)

    return add


def pointed_shared_name(count: int) -> Callable[[Blob, int], None]:
    """A struct with a pointer to each of many structs of one name."""

    def add(blob: Blob, target: int) -> None:
        name = blob.string("same")
        members = []
        for number in range(count):
            pointer = blob.add(Kind.PTR, 0, blob.struct(name, number + 4))
            members.append((name, pointer, 64 * number))
        blob.struct(blob.string("holder"), 8 * count, members)

    return add


def tags(count: int) -> Callable[[Blob, int], None]:
    """Declaration tags named by suffixes, all on one struct."""

    def add(blob: Blob, target: int) -> None:
        holder = blob.struct(blob.string("tagged"), 4)
        for name in _suffixes(blob, count):
            blob.add(Kind.DECL_TAG, name, holder, (0xFFFFFFFF,))
        _anchor(blob, target)

    return add


def datasec(count: int) -> Callable[[Blob, int], None]:
    """Variables named by suffixes, in one section."""

    def add(blob: Blob, target: int) -> None:
        words: list[int] = []
        for name in _suffixes(blob, count):
            words += (blob.add(Kind.VAR, name, target, (1,)), len(words), 4)
        blob.add(Kind.DATASEC, blob.string(".data"), 4 * count, words, count)

    return add


def ladder(length: int) -> Callable[[Blob, int], None]:
    """Structs with pointers to the two before them: very many paths, and one each of types."""

    def add(blob: Blob, target: int) -> None:
        one = two = target
        for name in _names(blob, "rung", length):
            members = [(name, blob.add(Kind.PTR, 0, at), 64 * n) for n, at in enumerate((one, two))]
            one, two = blob.struct(name, 16, members), one
        _anchor(blob, one)

    return add


SHAPES: dict[str, Callable[[Blob, int], None]] = {
    "chain of typedefs": chain(Kind.TYPEDEF, 78_000),
    "chain of consts": chain(Kind.CONST, 80_000),
    "chain of pointers": chain(Kind.PTR, 80_000),
    "chain of type tags": chain(Kind.TYPE_TAG, 80_000),
    "chain of arrays": chain(Kind.ARRAY, 40_000),
    "chain of arrays that double": chain(Kind.ARRAY, 40_000, 2),
    "short chain of arrays that double": chain(Kind.ARRAY, 600, 2**31),
    "chain of structs": chain(Kind.STRUCT, 38_000),
    "chain of prototypes": chain(Kind.FUNC_PROTO, 30_000),
    "chain of nameless structs": unnamed_chain(38_000),
    "doubling": doubling(60),
    "fan over consts": fan(Kind.CONST, 999, 60_000),
    "fan over typedefs": fan(Kind.TYPEDEF, 999, 60_000),
    "fan over arrays": fan(Kind.ARRAY, 999, 60_000),
    "fan over a long chain": fan(Kind.CONST, 30_000, 45_000),
    "structs of suffixes": suffixes(Kind.STRUCT, 60_000),
    "typedefs of suffixes": suffixes(Kind.TYPEDEF, 60_000),
    "enums of suffixes": suffixes(Kind.ENUM, 60_000),
    "declared of suffixes": suffixes(Kind.FWD, 60_000),
    "pointers to suffixes": pointed_suffixes(25_000),
    "members of suffixes": suffix_members(Kind.STRUCT, 60_000),
    "values of suffixes": suffix_members(Kind.ENUM, 60_000),
    "parameters of suffixes": suffix_members(Kind.FUNC_PROTO, 60_000),
    "structs of one name": shared_name(Kind.STRUCT, 70_000),
    "typedefs of one name": shared_name(Kind.TYPEDEF, 35_000),
    "declared of one name": shared_name(Kind.FWD, 75_000),
    "pointers to structs of one name": pointed_shared_name(20_000),
    "tags of suffixes": tags(55_000),
    "variables of suffixes": datasec(30_000),
    "ladder": ladder(12_000),
}


def as_base(shape: str) -> bytes:
    """The shape as the whole BTF of a kernel."""
    blob = Blob()
    number = blob.add(Kind.INT, blob.string("int"), 4, (32 | 1 << 24,))
    names = ("btf_data", "btf_base_data")
    members = [(blob.string(name), number, 32 * n) for n, name in enumerate(names)]
    blob.struct(blob.string("module"), 8, members)
    SHAPES[shape](blob, number)
    return blob.to_bytes()


def as_split(shape: str, start_id: int, start_str: int) -> bytes:
    """The shape as the BTF of a module, on a base of that size."""
    blob = Blob(start_id, start_str)
    blob.string("module_own")
    SHAPES[shape](blob, 1)
    return blob.to_bytes()
