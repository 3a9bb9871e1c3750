# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The definitions of a header, in an order that C accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.dump.c.order import Order, reached
from kbtf.btf.kinds import COMPOSITES, ENUMS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.btf.btf import BtfType
    from kbtf.btf.dump.c.declarations import Writer
    from kbtf.btf.dump.c.layout import Layout
    from kbtf.btf.dump.c.names import Names
    from kbtf.btf.dump.c.order import Types

_DECLARED = (*COMPOSITES, Kind.FWD)
_FOR_HELPERS = (
    *(f"__{sign}{bits}" for sign in "us" for bits in (8, 16, 32, 64)),
    *(f"__{order}{bits}" for order in ("be", "le") for bits in (16, 32, 64)),
    "__sum16",
    "__wsum",
    "bpf_iter_num",
    "bpf_map_type",
)
"""What libbpf's bpf_helpers.h uses and leaves to vmlinux.h to define."""


class Definitions:
    """Writes each type once: first the base types that the own types need, then the own types."""

    def __init__(
        self, types: Types, names: Names, layout: Layout, writer: Writer, functions: list[BtfType]
    ) -> None:
        self._types = types
        self._names = names
        self._layout = layout
        self._writer = writer
        self._order = Order(types)
        self._announced: set[str] = set()
        self._prototypes = [function.size_or_type for function in functions]

    def of_base(self) -> list[str]:
        """The types that the own types, variables and functions lead to, also through pointers."""
        btf = self._types.btf
        starts = [t.id for t in btf if _is_to_be_written(t) or t.kind is Kind.VAR]
        starts += self._prototypes
        starts += [t.id for name in _FOR_HELPERS for t in btf.find_all(name) if t.id < btf.start_id]
        wanted = sorted(at for at in reached(self._types, starts) if 0 < at < btf.start_id)
        return self._define([self._types[type_id] for type_id in wanted])

    def own(self) -> list[str]:
        """The own types, and the prototypes' declarations; of the base, only names."""
        return self._define(self._types.btf, self._prototypes)

    def _define(self, types: Iterable[BtfType], prototypes: Iterable[int] = ()) -> list[str]:
        types = list(types)
        first = types[0].id if types else self._types.btf.start_id
        written: list[str] = []
        for t, complete in self._walk(types, prototypes):
            if complete:
                self._layout.add(t)
            if t.id >= first or (t.kind in _DECLARED and not complete):
                self._write(t, complete, written)
        written += [self._writer.definition(t) for t in types if self._is_for_its_values(t)]
        return written

    def _write(self, t: BtfType, complete: bool, written: list[str]) -> None:
        text = ""
        if t.kind is Kind.FWD or (t.kind in COMPOSITES and t.name):
            announcement = f"{self._names.tag(t)};\n\n"
            if complete:
                text = self._writer.definition(t)
                if written and written[-1] == announcement:
                    written.pop()  # right before the definition, it is redundant
            elif announcement not in self._announced:
                text = announcement
            self._announced.add(announcement)
        elif t.kind is Kind.TYPEDEF:
            text = "" if complete else self._writer.definition(t)
        elif t.kind in (Kind.INT, Kind.FLOAT) or (t.kind in ENUMS and t.name):
            text = self._writer.definition(t)
        if text:
            written.append(text)

    def _walk(
        self, types: Iterable[BtfType], prototypes: Iterable[int]
    ) -> Iterator[tuple[BtfType, bool]]:
        """All types to be written, in an order that C accepts, with their dependencies."""
        for t in types:
            if _is_to_be_written(t):
                is_declared = t.kind in (Kind.TYPEDEF, Kind.FWD)
                yield from self._order.walk(t.id, not is_declared)
        for type_id in prototypes:
            yield from self._order.walk(type_id, False)

    def _is_for_its_values(self, t: BtfType) -> bool:
        """An anonymous enum that nothing uses: how headers define constants."""
        return t.kind in ENUMS and not t.name and not self._order.has(t.id)


def _is_to_be_written(t: BtfType) -> bool:
    if t.kind in (Kind.TYPEDEF, Kind.FWD):
        return True
    return bool(t.name) and (t.kind in COMPOSITES or t.kind in ENUMS)
