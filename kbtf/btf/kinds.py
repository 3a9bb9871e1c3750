"""The kinds of BTF types and where each keeps its ids and names.

Source: include/uapi/linux/btf.h and Documentation/bpf/btf.rst.  The C core keeps the same table
(``native/kinds.c``) and this module reads it from there, so that there is one.
"""

from __future__ import annotations

from enum import IntEnum

from kbtf.btf import _native
from kbtf.record import NamedTuple


class Kind(IntEnum):
    """BTF_KIND_*; UNKN is void, the type with id 0."""

    UNKN = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


KFUNC_TAG = "bpf_kfunc"
"""The name of the DECL_TAG that marks a kfunc (pahole since 1.26)."""


class KindInfo(NamedTuple):
    """Where a kind keeps its ids and string offsets; a row of the C core's table."""

    name: str
    items: int
    """How many items stand behind the head of the type: vlen if negative."""
    item_words: int
    id_word: int | None
    name_word: int | None
    tail_words: int
    is_ref: bool
    """The third word of the head is a type id, not a size."""

    def id_words(self, nr_words: int) -> range:
        """Which of the *nr_words* words behind the head are type ids."""
        return self._words(self.id_word, nr_words)

    def name_words(self, nr_words: int) -> range:
        """Which of the *nr_words* words behind the head are string offsets."""
        return self._words(self.name_word, nr_words)

    def _words(self, first: int | None, nr_words: int) -> range:
        if first is None:
            return range(0)
        return range(first, nr_words - self.tail_words, self.item_words)


KINDS = tuple(KindInfo(*row) for row in _native.KINDS)
