"""Verifying BTF: what a kernel checks when it loads it, and what it takes on trust."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kbtf.btf import _native
from kbtf.btf.kinds import Kind
from kbtf.btf.rules import MAX_NAME_OFFSET, MAX_TYPES, rules_of
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf
    from kbtf.btf.rules import Rules

_DISTILLED_KINDS = (Kind.INT, Kind.FLOAT, Kind.ENUM, Kind.ENUM64, Kind.STRUCT, Kind.UNION, Kind.FWD)


class Violation(NamedTuple):
    """One thing that is wrong."""

    type_id: int
    """The type it is about, 0 for the blob as a whole."""
    refused: bool
    """The kernel refuses it; else it does not look, and may go astray."""
    text: str

    def __str__(self) -> str:
        return f"type [{self.type_id}]: {self.text}" if self.type_id else self.text


def verify(btf: Btf, rules: Rules | None = None, *, distilled: bool = False) -> list[Violation]:
    """What is wrong with *btf*, in the order of its types; the first 64 of them.

    *rules* are those of the kernel that is to load it, by default those that the base of *btf*, or
    *btf* itself, shows.  With *distilled*, it must be fit for ``.BTF.base``.  Parsing has already
    refused what reaches out of the blob, and type ids that do not exist.
    """
    if rules is None:
        rules = rules_of(btf.base if btf.base is not None else btf)
    found = [*_check_header(btf, rules), *_check_numbers(btf)]
    if distilled:
        found += _check_distilled(btf)
    rows, _ = _native.verify(
        btf.index,
        rules.info_mask,
        rules.max_kind,
        rules.name_len,
        rules.flag_on_tags,
        rules.tags_first,
    )
    return found + [Violation(*row) for row in rows]


def _check_header(btf: Btf, rules: Rules) -> Iterator[Violation]:
    """btf_parse_hdr() and btf_check_sec_info(): no gap, no overlap, strings at the end."""
    data = memoryview(btf.data)
    order = ">" if btf.byte_order == "big" else "<"
    header_len, type_off, type_len, str_off, str_len = struct.unpack_from(order + "5I", data, 4)
    layout_len = 0
    if header_len > 24 and any(data[24:header_len]):
        if rules.layout_header and header_len >= 32:
            layout_len = btf.index.layout_len
        else:
            yield Violation(0, True, f"header of {header_len} bytes, this kernel knows 24")
    if type_off:
        yield Violation(0, True, f"gap of {type_off} bytes in front of the types")
    if type_off + type_len + layout_len != str_off:
        yield Violation(0, True, "gap between types and strings")
    if header_len + str_off + str_len != len(data):
        yield Violation(0, True, "the strings do not end the blob")


def _check_numbers(btf: Btf) -> Iterator[Violation]:
    if btf.end_id - 1 > MAX_TYPES:
        yield Violation(0, True, f"{btf.end_id - 1} types, a kernel takes {MAX_TYPES}")
    if btf.end_str - 1 > MAX_NAME_OFFSET:
        yield Violation(0, True, f"{btf.end_str} bytes of strings, a kernel takes 16 MiB")


def _check_distilled(btf: Btf) -> Iterator[Violation]:
    """What relocation finds by name, and nothing else (btf_relocate.c)."""
    if not len(btf):
        yield Violation(0, True, "it is empty: kernels then number the module's types wrongly")
    for type_id in range(btf.start_id, btf.end_id):
        kind, name, *_ = btf.index.record(type_id)
        if kind not in _DISTILLED_KINDS:
            yield Violation(type_id, True, f"{Kind(kind).name} in a distilled base")
        elif not name:
            yield Violation(type_id, True, f"{Kind(kind).name} without a name")
