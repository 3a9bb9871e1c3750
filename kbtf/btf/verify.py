# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Verify BTF: the checks of a loading kernel, and rules of the format that no kernel checks."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.kinds import DISTILLED, Kind
from kbtf.btf.rules import MAX_NAME_OFFSET, MAX_TYPES, rules_of
from kbtf.findings.finding import Severity
from kbtf.native import _native

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf
    from kbtf.btf.rules import Rules


_HEADER = 24
_LAYOUT_HEADER = 32


class Violation(NamedTuple):
    """A violation of one rule."""

    type_id: int
    """The type it is about, 0 for the blob as a whole."""
    severity: Severity
    """An error if the kernel refuses it; a warning if it does not check, and may misbehave."""
    text: str

    def __str__(self) -> str:
        return f"type [{self.type_id}]: {self.text}" if self.type_id else self.text


def verify(btf: Btf, rules: Rules | None = None, *, distilled: bool = False) -> list[Violation]:
    """The violations in *btf*, in the order of its types; of more than 64, the
    last are left out, and warnings before errors.

    *rules* are those of the loading kernel, by default those that the base of *btf*, or *btf*
    itself, shows.  With *distilled*, it must be valid as ``.BTF.base``.  Parsing has already
    refused anything that reaches past the end of the blob, and type ids that do not exist.
    """
    if rules is None:
        rules = rules_of(btf.base if btf.base is not None else btf)
    found = [*_check_header(btf, rules), *_check_numbers(btf)]
    if distilled:
        found += _check_distilled(btf)
    rows = _native.verify(
        btf.index,
        rules.info_mask,
        rules.max_kind,
        rules.name_len,
        rules.flag_on_tags,
        rules.tags_first,
    )
    return found + [
        Violation(type_id, Severity.ERROR if refused else Severity.WARNING, text)
        for type_id, refused, text in rows
    ]


def _check_header(btf: Btf, rules: Rules) -> Iterator[Violation]:
    """btf_parse_hdr() and btf_check_sec_info(): no gap, no overlap, nothing unknown."""
    data = memoryview(btf.data)
    order = ">" if btf.byte_order == "big" else "<"
    header_len, type_off, type_len, str_off, str_len = struct.unpack_from(order + "5I", data, 4)
    known = _LAYOUT_HEADER if rules.layout_header else _HEADER
    if any(data[known:header_len]):
        yield Violation(
            0, Severity.ERROR, f"header of {header_len} bytes, this kernel knows {known}"
        )
    # Parsing has refused parts that overlap.
    parts = [(type_off, type_len, "types"), (str_off, str_len, "strings")]
    if btf.index.layout_len and rules.layout_header:
        layout_off, layout_len = struct.unpack_from(order + "2I", data, 24)
        parts.append((layout_off, layout_len, "layout"))
    end = 0
    for start, length, name in sorted(parts):
        if start != end:
            yield Violation(0, Severity.ERROR, f"gap of {start - end} bytes before the {name}")
        end = start + length
    if header_len + end != len(data):
        yield Violation(0, Severity.ERROR, f"bytes after the {name}")
    elif str_off + str_len != end and not rules.layout_header:
        yield Violation(0, Severity.ERROR, "the strings are not at the end")


def _check_numbers(btf: Btf) -> Iterator[Violation]:
    if btf.end_id - 1 > MAX_TYPES:
        yield Violation(0, Severity.ERROR, f"{btf.end_id - 1} types, a kernel takes {MAX_TYPES}")
    if btf.end_str - 1 > MAX_NAME_OFFSET:
        yield Violation(0, Severity.ERROR, f"{btf.end_str} bytes of strings, a kernel takes 16 MiB")


def _check_distilled(btf: Btf) -> Iterator[Violation]:
    """Only kinds that relocation finds by name (btf_relocate.c)."""
    if not len(btf):
        yield Violation(
            0, Severity.ERROR, "it is empty: kernels then number the module's types wrongly"
        )
    for type_id in range(btf.start_id, btf.end_id):
        kind, name, *_ = btf.index.record(type_id)
        if kind not in DISTILLED:
            yield Violation(type_id, Severity.ERROR, f"{Kind(kind).name} in a distilled base")
        elif not name:
            yield Violation(type_id, Severity.ERROR, f"{Kind(kind).name} without a name")
