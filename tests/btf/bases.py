# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Bases of BTF written in words, and what is told of two."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbtf import Btf, BtfBuilder, Kind

if TYPE_CHECKING:
    from kbtf.btf.diff import BaseDiff


def base_of(*types: str, start: str = "int 4") -> Btf:
    """Types as "KIND name size"; FWD and FUNC have none, a TYPEDEF has an id instead."""
    b = BtfBuilder(byte_order="little")
    for line in (start, *types):
        word, name, *rest = line.split()
        number = int(rest[0]) if rest else 0
        if word == "int":
            b.add_int("int", int(name), encoding=1)
        elif word == "FUNC":
            b.add_func(name, number)
        else:
            b.add(Kind[word], "" if name == "-" else name, size_or_type=number)
    return b.build()


def words(diff: BaseDiff) -> list[str]:
    """What became of names: + added, - removed, ~ resized, ! of another kind."""
    lines = [
        f"{sign} {t}" for sign, types in (("+", diff.added), ("-", diff.removed)) for t in types
    ]
    pairs = (("~", diff.resized), ("!", diff.changed_kind))
    lines += [f"{sign} {a} -> {b}" for sign, found in pairs for a, b in found]
    return [re.sub(" bytes?\\b", "", line) for line in lines]
