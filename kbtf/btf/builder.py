# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Build BTF: types and strings are added one by one."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

from kbtf.btf.btf import Btf
from kbtf.btf.kinds import KINDS, Kind
from kbtf.errors import BtfError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kbtf.btf.btf import BtfType

MAGIC = 0xEB9F


class BtfBuilder:
    """Adds types to a new BTF, split if *base* is given.

    Each ``add_*`` returns the id of the new type.  Each string is added once, and
    none of the base is repeated.  The result has a 24-byte header and the given byte order.
    """

    def __init__(self, base: Btf | None = None, byte_order: str | None = None) -> None:
        self.base = base
        self.byte_order = byte_order or (base.byte_order if base is not None else sys.byteorder)
        self._order = ">" if self.byte_order == "big" else "<"
        self._start_str = base.end_str if base is not None else 0
        self._strings = bytearray() if base is not None else bytearray(b"\0")
        self._base_strings = base.all_strings() if base is not None else b"\0"
        self._offsets: dict[bytes, int] = {b"": 0}
        self._types: list[bytes] = []
        self.next_id = base.end_id if base is not None else 1

    def add_string(self, string: str) -> int:
        """The offset of *string*, which is added if it is missing."""
        raw = string.encode("utf-8", "surrogateescape")
        if b"\0" in raw:
            raise BtfError(f"a name cannot contain a NUL: {string!r}")
        offset = self._offsets.get(raw)
        if offset is None:
            offset = self._base_strings.find(b"\0" + raw + b"\0") + 1
            if not offset:
                offset = self._start_str + len(self._strings)
                self._strings += raw + b"\0"
            self._offsets[raw] = offset
        return offset

    def add(
        self,
        kind: Kind,
        name: str = "",
        *,
        vlen: int = 0,
        kind_flag: bool = False,
        size_or_type: int = 0,
        words: Sequence[int] = (),
    ) -> int:
        """A type of any kind from its parts, which are not checked."""
        if vlen >> 24:
            raise BtfError(f"vlen {vlen} does not fit into 24 bits")
        info = int(kind_flag) << 31 | kind << 24 | vlen
        head = (self.add_string(name), info, size_or_type, *words)
        try:
            self._types.append(struct.pack(f"{self._order}{len(head)}I", *head))
        except struct.error as error:
            raise BtfError(f"{kind.name} {name!r}: a field does not fit into 32 bits") from error
        self.next_id += 1
        return self.next_id - 1

    def add_int(self, name: str, size: int, *, encoding: int = 0, bits: int | None = None) -> int:
        """An INT of *size* bytes; *encoding* is 1 signed, 2 char, 4 bool."""
        word = encoding << 24 | (size * 8 if bits is None else bits)
        return self.add(Kind.INT, name, size_or_type=size, words=(word,))

    def add_ref(self, kind: Kind, type_id: int, name: str = "") -> int:
        """A PTR, TYPEDEF, CONST, VOLATILE, RESTRICT or TYPE_TAG."""
        return self.add(kind, name, size_or_type=type_id)

    def add_array(self, type_id: int, index_type: int, nelems: int) -> int:
        """An ARRAY of *nelems* elements."""
        return self.add(Kind.ARRAY, words=(type_id, index_type, nelems))

    def add_composite(
        self,
        kind: Kind,
        name: str,
        size: int,
        members: Iterable[tuple[str, int, int] | tuple[str, int, int, int]] = (),
    ) -> int:
        """A STRUCT or UNION; members are (name, type, bit offset[, bitfield width])."""
        fields = [(*member, 0)[:4] for member in members]
        flag = any(width for *_, width in fields)
        self.add_string(name)  # a type's own name comes before those of its members
        words = [
            word
            for member, type_id, offset, width in fields
            for word in (self.add_string(member), type_id, offset | width << 24)
        ]
        return self.add(
            kind, name, vlen=len(fields), kind_flag=flag, size_or_type=size, words=words
        )

    def add_enum(
        self, name: str, size: int, values: Iterable[tuple[str, int]] = (), *, signed: bool = False
    ) -> int:
        """An ENUM."""
        self.add_string(name)
        words = [w for key, value in values for w in (self.add_string(key), value & 0xFFFFFFFF)]
        return self.add(
            Kind.ENUM,
            name,
            vlen=len(words) // 2,
            kind_flag=signed,
            size_or_type=size,
            words=words,
        )

    def add_enum64(
        self, name: str, size: int, values: Iterable[tuple[str, int]] = (), *, signed: bool = False
    ) -> int:
        """An ENUM64."""
        self.add_string(name)
        words = [
            word
            for key, value in values
            for word in (self.add_string(key), value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF)
        ]
        return self.add(
            Kind.ENUM64,
            name,
            vlen=len(words) // 3,
            kind_flag=signed,
            size_or_type=size,
            words=words,
        )

    def add_fwd(self, name: str, *, union: bool = False) -> int:
        """A forward declaration."""
        return self.add(Kind.FWD, name, kind_flag=union)

    def add_float(self, name: str, size: int) -> int:
        """A FLOAT of *size* bytes."""
        return self.add(Kind.FLOAT, name, size_or_type=size)

    def add_func_proto(self, return_type: int, params: Iterable[tuple[str, int]] = ()) -> int:
        """A FUNC_PROTO; params are (name, type)."""
        words = [word for name, type_id in params for word in (self.add_string(name), type_id)]
        return self.add(
            Kind.FUNC_PROTO, vlen=len(words) // 2, size_or_type=return_type, words=words
        )

    def add_func(self, name: str, proto: int, linkage: int = 1) -> int:
        """A FUNC; linkage 0 static, 1 global, 2 extern."""
        return self.add(Kind.FUNC, name, vlen=linkage, size_or_type=proto)

    def add_var(self, name: str, type_id: int, linkage: int = 1) -> int:
        """A VAR."""
        return self.add(Kind.VAR, name, size_or_type=type_id, words=(linkage,))

    def add_datasec(self, name: str, size: int, entries: Iterable[tuple[int, int, int]]) -> int:
        """A DATASEC; entries are (type, offset, size)."""
        words = [word for entry in entries for word in entry]
        return self.add(Kind.DATASEC, name, vlen=len(words) // 3, size_or_type=size, words=words)

    def add_decl_tag(self, name: str, type_id: int, component_idx: int = -1) -> int:
        """A DECL_TAG on a whole type or on one member or parameter."""
        return self.add(
            Kind.DECL_TAG, name, size_or_type=type_id, words=(component_idx & 0xFFFFFFFF,)
        )

    def add_copy(self, source: BtfType, ids: dict[int, int] | None = None) -> int:
        """Copy a type of another BTF, with its ids mapped by *ids*."""
        ids = ids or {}
        info = KINDS[source.kind]
        words = list(source.words)
        self.add_string(source.name)
        for at in info.name_words(len(words)):
            words[at] = self.add_string(source.btf.string(words[at]))
        for at in info.id_words(len(words)):
            words[at] = ids.get(words[at], words[at])
        target = source.size_or_type
        return self.add(
            source.kind,
            source.name,
            vlen=source.vlen,
            kind_flag=source.kind_flag,
            size_or_type=target if source.type is None else ids.get(target, target),
            words=words,
        )

    def to_bytes(self) -> bytes:
        """The blob: a 24-byte header, types, strings."""
        types = b"".join(self._types)
        header = struct.pack(
            f"{self._order}HBBIIIII", MAGIC, 1, 0, 24, 0, len(types), len(types), len(self._strings)
        )
        return header + types + self._strings

    def build(self) -> Btf:
        """The BTF; BtfError if a type refers to one that was never added."""
        return Btf.parse(self.to_bytes(), self.base)
