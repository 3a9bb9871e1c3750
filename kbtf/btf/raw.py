# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF in a form that allows adding and reordering types.

Like libbpf's btf__add_*() and btf__permute(), it keeps the string table and appends to it;
BtfBuilder would rewrite it.
"""

from __future__ import annotations

import struct
import sys
from array import array

from kbtf.btf.btf import Btf
from kbtf.btf.kinds import KINDS, REFS, Kind, unknown

_HEAD_WORDS = 3


class RawBtf:
    """The own types of a BTF as words, and its strings; *btf* is the original.

    *starts* has the index in *words* of each type: name offset, info, size or type, the rest.
    """

    def __init__(self, btf: Btf) -> None:
        if btf.index.unknown_id:
            raise unknown(btf[btf.index.unknown_id].kind, "changing BTF")
        self.btf = btf
        self._order = ">" if btf.byte_order == "big" else "<"
        data = btf.to_bytes()
        header_len, type_off, type_len, str_off, str_len = struct.unpack_from(
            f"{self._order}IIIII", data, 4
        )
        self._header = bytearray(data[:header_len])
        types = header_len + type_off
        strings = header_len + str_off
        self.words = self._swapped(array("I", data[types : types + type_len]))
        layout = btf.index.layout_off
        self._layout = data[layout : layout + btf.index.layout_len]
        self._strings = bytearray(data[strings : strings + str_len])
        self._known = b"" if btf.base is None else btf.base.all_strings()
        self.starts = self._find_starts()

    def _swapped(self, words: array[int]) -> array[int]:
        if self.btf.byte_order != sys.byteorder:
            words.byteswap()
        return words

    def _find_starts(self) -> list[int]:
        starts = []
        at = 0
        while at < len(self.words):
            starts.append(at)
            info = self.words[at + 1]
            row = KINDS[info >> 24 & 0x7F]
            items = info & 0xFFFFFF if row.items < 0 else row.items
            at += _HEAD_WORDS + items * row.item_words + row.tail_words
        return starts

    @property
    def start_id(self) -> int:
        """The id of the first own type."""
        return self.btf.start_id

    def __len__(self) -> int:
        return len(self.starts)

    def add(
        self,
        kind: Kind,
        name: str,
        target: int,
        *words: int,
        vlen: int = 0,
        kind_flag: bool = False,
    ) -> int:
        """Add a type that refers to another, with the words after its head; return its id."""
        info = kind_flag << 31 | kind << 24 | vlen
        self.starts.append(len(self.words))
        self.words.extend((self.add_string(name), info, target, *words))
        return self.start_id + len(self.starts) - 1

    def add_string(self, name: str) -> int:
        """The offset of a string, which is added if it is missing."""
        if not name:
            return 0
        raw = b"\0" + name.encode("utf-8", "surrogateescape") + b"\0"
        at = self._known.find(raw)
        if at >= 0:
            return at + 1
        # The first string of a split has no NUL before it.
        at = (b"\0" + self._strings).find(raw)
        if at >= 0:
            return len(self._known) + at
        self._strings += raw[1:]
        return len(self._known) + len(self._strings) - len(raw) + 1

    def respell(self, old: str, new: str) -> None:
        """Overwrite an own string with one that is not longer; no offset changes."""
        raw = b"\0" + old.encode() + b"\0"
        filled = b"\0" + new.encode().ljust(len(old), b"\0") + b"\0"
        self._strings = self._strings.replace(raw, filled)

    def set_target(self, type_id: int, target: int) -> None:
        """Make an own type refer to another one."""
        self.words[self.starts[type_id - self.start_id] + 2] = target

    def set_param(self, type_id: int, at: int, target: int) -> None:
        """Give a parameter of an own FUNC_PROTO another type."""
        self.words[self.starts[type_id - self.start_id] + _HEAD_WORDS + 2 * at + 1] = target

    def sort_by_name(self) -> None:
        """Sort the types by name, anonymous ones first; the sort is stable."""
        order = sorted(range(len(self.starts)), key=self._name)
        place = {old: new for new, old in enumerate(order)}
        start_id = self.start_id
        ends = [*self.starts[1:], len(self.words)]
        words = array("I")
        starts = []
        for old in order:
            start = len(words)
            starts.append(start)
            words += self.words[self.starts[old] : ends[old]]
            for at in _id_places(words, start):
                if words[at] >= start_id:
                    words[at] = start_id + place[words[at] - start_id]
        self.words, self.starts = words, starts

    def _name(self, index: int) -> bytes:
        offset = self.words[self.starts[index]]
        if offset < len(self._known):
            end = self._known.index(b"\0", offset)
            return self._known[offset:end]
        offset -= len(self._known)
        return bytes(self._strings[offset : self._strings.index(b"\0", offset)])

    def build(self) -> Btf:
        """The BTF with all changes; BtfError if a type refers to one that does not exist."""
        types = self._swapped(array("I", self.words)).tobytes()
        grown = len(types) + len(self._layout)
        lengths = (0, len(types), grown, len(self._strings))
        struct.pack_into(f"{self._order}IIII", self._header, 8, *lengths)
        if self._layout:
            struct.pack_into(f"{self._order}I", self._header, 24, len(types))
        return Btf.parse(
            bytes(self._header) + types + self._layout + bytes(self._strings), self.btf.base
        )


def _id_places(words: array[int], start: int) -> list[int]:
    """The positions of type ids in a type that ends with *words*."""
    info = words[start + 1]
    kind = info >> 24 & 0x7F
    tail = start + _HEAD_WORDS
    places = [tail + at for at in KINDS[kind].id_words(len(words) - tail)]
    return [start + 2, *places] if kind in REFS else places
