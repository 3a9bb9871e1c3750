# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF as text, line for line as ``bpftool btf dump file X format raw`` prints it.

Format: dump_btf_type() of tools/bpf/bpftool/btf.c in kernel 6.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.btf import signed
from kbtf.btf.kinds import COMPOSITES, ENUMS, KINDS, MODIFIERS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kbtf.btf.btf import Btf

    Words = tuple[int, ...]
    String = Callable[[int], str]

INT_ENCODINGS = {0: "(none)", 1: "SIGNED", 2: "CHAR", 4: "BOOL"}
"""Words for the encoding of an INT; any other one is UNKN."""
LINKAGES = ("static", "global", "extern")
"""Words for the linkage of a FUNC or VAR; any other one is (unknown)."""
ANONYMOUS = "(anon)"
"""The text for a missing name."""
KIND_NAMES = tuple(row.name for row in (KINDS[-1], *KINDS[1:]))


def dump_raw(btf: Btf, spell: Callable[[str], str] = str) -> Iterator[str]:
    """The own types of *btf*, one string a type, each of whole lines; names as *spell* has them."""
    record = btf.index.record

    def string(offset: int) -> str:
        return spell(btf.index.string(offset))

    for type_id in range(btf.start_id, btf.end_id):
        kind, name, flag, vlen, size_or_type, words = record(type_id)
        head = f"[{type_id}] {KIND_NAMES[kind]} '{spell(name) or ANONYMOUS}'"
        if kind in _PLAIN:
            yield f"{head} {_PLAIN[kind]}={size_or_type}\n"
        elif kind in COMPOSITES:
            yield f"{head} size={size_or_type} vlen={vlen}\n{_members(words, flag, string)}"
        elif kind == Kind.FUNC_PROTO:
            yield f"{head} ret_type_id={size_or_type} vlen={vlen}\n{_params(words, string)}"
        elif kind == Kind.FUNC:
            yield f"{head} type_id={size_or_type} linkage={linkage_word(vlen)}\n"
        elif kind == Kind.DATASEC:
            yield f"{head} size={size_or_type} vlen={vlen}\n{_entries(words, btf, spell)}"
        elif kind == Kind.LOC_PROTO:
            yield f"{head} type_id={size_or_type} vlen={vlen}\n{_locations(words)}"
        elif kind == Kind.LOCSEC:
            yield f"{head} vlen={vlen}\n{_sites(words, btf, spell)}"
        elif kind in ENUMS:
            encoding = "SIGNED" if flag else "UNSIGNED"
            values = _values if kind == Kind.ENUM else _values64
            yield (
                f"{head} encoding={encoding} size={size_or_type} vlen={vlen}\n"
                f"{values(words, flag, string)}"
            )
        elif kind in _OTHERS:
            yield f"{head} {_OTHERS[kind](flag, size_or_type, words)}\n"
        else:
            yield f"{head} kind={kind} vlen={vlen} size_or_type={size_or_type}\n"


def linkage_word(linkage: int) -> str:
    """The word for the linkage of a FUNC or VAR."""
    return LINKAGES[linkage] if linkage < len(LINKAGES) else "(unknown)"


def _array(_flag: bool, _size: int, words: Words) -> str:
    return f"type_id={words[0]} index_type_id={words[1]} nr_elems={words[2]}"


def _int(_flag: bool, size: int, words: Words) -> str:
    word = words[0]
    encoding = INT_ENCODINGS.get(word >> 24 & 15, "UNKN")
    return f"size={size} bits_offset={word >> 16 & 255} nr_bits={word & 255} encoding={encoding}"


def _fwd(flag: bool, _type: int, _words: Words) -> str:
    return f"fwd_kind={'union' if flag else 'struct'}"


def _var(_flag: bool, type_id: int, words: Words) -> str:
    return f"type_id={type_id}, linkage={linkage_word(words[0])}"


def _decl_tag(_flag: bool, type_id: int, words: Words) -> str:
    return f"type_id={type_id} component_idx={signed(words[0], 32)}"


def _loc_param(flag: bool, size: int, words: Words) -> str:
    where = f"value={words[1] << 32 | words[0]}" if flag else _register(*words)
    return f"size={signed(size, 32)} {where}"


def _register(which: int, offset: int) -> str:
    dereferenced = f" offset={signed(offset, 32)}" if which >> 16 & 1 else ""
    return f"reg={which & 0xFFFF} flags=0x{which >> 16:x}{dereferenced}"


_PLAIN: dict[int, str] = {
    **dict.fromkeys(MODIFIERS | {Kind.PTR}, "type_id"),
    Kind.FLOAT: "size",
}
_OTHERS: dict[int, Callable[[bool, int, Words], str]] = {
    Kind.INT: _int,
    Kind.ARRAY: _array,
    Kind.FWD: _fwd,
    Kind.VAR: _var,
    Kind.DECL_TAG: _decl_tag,
    Kind.LOC_PARAM: _loc_param,
}


def _members(words: Words, flag: bool, string: String) -> str:
    """Lines of a STRUCT or UNION; with *flag* an offset holds the width of a bitfield too."""
    lines = []
    for name, type_id, offset in zip(words[::3], words[1::3], words[2::3], strict=True):
        width = ""
        if flag:
            width = f" bitfield_size={offset >> 24}" if offset >> 24 else ""
            offset &= 0xFFFFFF
        field = string(name) if name else ANONYMOUS
        lines.append(f"\t'{field}' type_id={type_id} bits_offset={offset}{width}\n")
    return "".join(lines)


def _params(words: Words, string: String) -> str:
    return "".join(
        f"\t'{string(name) if name else ANONYMOUS}' type_id={type_id}\n"
        for name, type_id in zip(words[::2], words[1::2], strict=True)
    )


def _values(words: Words, flag: bool, string: String) -> str:
    return "".join(
        f"\t'{string(name) if name else ANONYMOUS}' val={signed(value, 32) if flag else value}\n"
        for name, value in zip(words[::2], words[1::2], strict=True)
    )


def _values64(words: Words, flag: bool, string: String) -> str:
    lines = []
    for name, low, high in zip(words[::3], words[1::3], words[2::3], strict=True):
        value = high << 32 | low
        number = f"{signed(value, 64)}LL" if flag else f"{value}ULL"
        lines.append(f"\t'{string(name) if name else ANONYMOUS}' val={number}\n")
    return "".join(lines)


def _entries(words: Words, btf: Btf, spell: Callable[[str], str]) -> str:
    """Lines of a DATASEC, each with the type of its id."""
    lines = []
    for type_id, offset, size in zip(words[::3], words[1::3], words[2::3], strict=True):
        kind, name = btf.index.record(type_id)[:2] if type_id else (0, "")
        what = f"({KIND_NAMES[kind]} '{spell(name) or ANONYMOUS}')"
        lines.append(f"\ttype_id={type_id} offset={offset} size={size} {what}\n")
    return "".join(lines)


def _locations(words: Words) -> str:
    """Lines of a LOC_PROTO: where each parameter is, 0 for nowhere."""
    return "".join(f"\ttype_id={type_id}\n" for type_id in words)


def _sites(words: Words, btf: Btf, spell: Callable[[str], str]) -> str:
    """Lines of a LOCSEC, each with the name of the function that is inlined there."""
    lines = []
    for func, loc_proto, offset in zip(words[::3], words[1::3], words[2::3], strict=True):
        name = spell(btf.index.record(func)[1]) if func else ""
        lines.append(
            f"\t'{name or ANONYMOUS}' type_id={func} loc_proto={loc_proto} offset=0x{offset:x}\n"
        )
    return "".join(lines)
