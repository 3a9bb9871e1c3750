# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Types in C notation, shortened to fit into a line of text."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING

from kbtf.btf.kinds import QUALIFIERS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf, BtfType

_MOST_STEPS = 64
_MOST_PARAMS = 16
_MOST_NESTED = 3
_MOST_SPELT = 8  # prototypes in one
_MOST_TEXT = 1024  # characters of a type
_MOST_SHOWN = 256  # characters of a name; identifiers of the kernel have at most 511


def shown(name: str) -> str:
    """A name for a line of text, truncated if it is too long."""
    return name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}..."


def c_name(btf_type: BtfType) -> str:
    """A type as a C programmer calls it: ``struct device``."""
    name = shown(btf_type.name) or "(anonymous)"
    return f"{btf_type.keyword} {name}" if btf_type.keyword else name


def spell(btf: Btf, type_id: int) -> str:
    """A type as C writes it, without qualifiers: ``int (*)(struct device *)``."""
    text = _spell(btf, type_id, 0, count(_MOST_SPELT, -1))
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."


def _spell(btf: Btf, type_id: int, nested: int, left: Iterator[int]) -> str:
    declarator = ""
    for _ in range(_MOST_STEPS):
        at = btf[type_id]
        if at.kind is Kind.PTR:
            declarator = "*" + declarator
        elif at.array is not None:
            declarator = f"{_grouped(declarator)}[{at.array.nelems}]"
            type_id = at.array.type
            continue
        elif at.kind is Kind.FUNC_PROTO:
            declarator = f"{_grouped(declarator)}({_params(at, nested, left)})"
        elif at.kind not in QUALIFIERS:
            return _word(at) + (" " if declarator.startswith(("(", "*")) else "") + declarator
        type_id = at.size_or_type
    return f"... {declarator}"


def _grouped(declarator: str) -> str:
    return f"({declarator})" if declarator.startswith("*") else declarator


def _params(proto: BtfType, nested: int, left: Iterator[int]) -> str:
    if nested == _MOST_NESTED or next(left) <= 0:
        return "..."
    spelt = [
        _spell(proto.btf, param.type, nested + 1, left) if param.type else "..."
        for param in islice(proto.params, _MOST_PARAMS)
    ]
    return ", ".join(spelt + ["..."] * (proto.vlen > _MOST_PARAMS)) or "void"


def _word(at: BtfType) -> str:
    if at.keyword and not at.name:
        return f"{at.keyword} {{...}}"
    return c_name(at)
