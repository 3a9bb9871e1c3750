# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kinds of BTF types: where each keeps its ids and names, and which sets it belongs to.

Source: include/uapi/linux/btf.h and Documentation/bpf/btf.rst.  The table is the C core's
(``native/btf/kinds.c``); every set of kinds comes from there.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from kbtf.errors import BtfError
from kbtf.native import _native


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
    LOC_PARAM = 20
    LOC_PROTO = 21
    LOCSEC = 22

    @classmethod
    def _missing_(cls, value: object) -> Kind | None:
        """A future kind, whose types a layout lets kbtf skip."""
        if not isinstance(value, int) or not 0 <= value < len(KINDS):
            return None
        kind = int.__new__(cls, value)
        kind._name_, kind._value_ = f"kind {value}", value
        return kind


class KindInfo(NamedTuple):
    """Where a kind keeps its ids and string offsets; a row of the C core's table."""

    name: str
    items: int
    """The number of items after the head of the type: vlen if negative."""
    item_words: int
    id_word: int | None
    nr_ids: int
    """The number of type ids from *id_word* on."""
    name_word: int | None
    tail_words: int
    sets: int

    def id_words(self, nr_words: int) -> list[int]:
        """Which of the *nr_words* words after the head are type ids."""
        first = self._words(self.id_word, nr_words)
        return [at + more for at in first for more in range(self.nr_ids)]

    def name_words(self, nr_words: int) -> range:
        """Which of the *nr_words* words after the head are string offsets."""
        return self._words(self.name_word, nr_words)

    def _words(self, first: int | None, nr_words: int) -> range:
        if first is None:
            return range(0)
        return range(first, nr_words - self.tail_words, self.item_words)


KINDS = tuple(KindInfo(*row) for row in _native.KINDS)


_LAST = max(Kind)


# enum kind_set of the C core
_REF, _SIZED, _COMPOSITE, _ENUM, _QUALIFIER, _MODIFIER, _NAMED = (1 << bit for bit in range(7))


def _kinds(of: int) -> frozenset[Kind]:
    return frozenset(kind for kind in Kind if KINDS[kind].sets & of)


REFS = _kinds(_REF)
"""The third word is a type id: a pointer's target, a function's prototype or return type."""
SIZED = _kinds(_SIZED)
"""The third word is a size in bytes."""
COMPOSITES = _kinds(_COMPOSITE)
"""Kinds with members: STRUCT and UNION."""
ENUMS = _kinds(_ENUM)
"""ENUM and ENUM64."""
SCALARS = ENUMS | {Kind.INT}
"""Kinds that the verifier treats as numbers."""
TAGGED = COMPOSITES | ENUMS | {Kind.FWD}
"""Kinds that C names by a keyword and a tag: ``struct device``."""
QUALIFIERS = _kinds(_QUALIFIER)
"""CONST, VOLATILE, RESTRICT and TYPE_TAG."""
MODIFIERS = _kinds(_MODIFIER)
"""Kinds that are the same type as the one they refer to: qualifiers and typedefs."""
DISTILLED = _kinds(_NAMED)
"""The kinds in a distilled base, which relocation looks up by name."""

KFUNC_TAG = "bpf_kfunc"
"""The name of the DECL_TAG that marks a kfunc (pahole since 1.26)."""


def is_known(kind: Kind) -> bool:
    """Whether kbtf knows a kind, or only skips its types by the layout."""
    return kind <= _LAST


def keyword(kind: Kind, kind_flag: bool) -> str:
    """The C keyword before a tag; empty for other kinds."""
    if kind in ENUMS:
        return "enum"
    if kind is Kind.UNION or (kind is Kind.FWD and kind_flag):
        return "union"
    return "struct" if kind in TAGGED else ""


def unknown(kind: int, operation: str) -> BtfError:
    """The error of an operation, such as "a raw dump", on a kind it does not know."""
    return BtfError(f"{operation} does not know {Kind(kind).name}")
