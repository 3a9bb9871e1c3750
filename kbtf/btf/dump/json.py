# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF as one JSON document, with the keys and values of ``bpftool -j btf dump file X``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.btf.btf import signed
from kbtf.btf.dump.raw import ANONYMOUS, INT_ENCODINGS, KIND_NAMES, linkage_word
from kbtf.btf.kinds import COMPOSITES, ENUMS, MODIFIERS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kbtf.btf.btf import Btf, BtfType

    Fields = dict[str, Any]


def dump_json(btf: Btf) -> Iterator[str]:
    """A document ``{"types":[...]}`` of the own types of *btf*, in pieces of one type each.

    It is ASCII; a byte of a name that is not UTF-8 is a lone surrogate, as in all strings of kbtf.
    """
    import json

    # one encoder: json.dumps() would create one for each type
    encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
    yield '{"types":['
    comma = ""
    for t in btf:
        yield comma + encode(type_fields(t))
        comma = ","
    yield "]}\n"


def type_fields(t: BtfType) -> Fields:
    """One type as bpftool's JSON has it."""
    head = {"id": t.id, "kind": KIND_NAMES[t.kind], "name": t.name or ANONYMOUS}
    return head | _FIELDS.get(t.kind, _unknown)(t)


def _unknown(t: BtfType) -> Fields:
    return {"kind_number": int(t.kind), "vlen": t.vlen, "size_or_type": t.size_or_type}


def _int(t: BtfType) -> Fields:
    word = t.words[0]
    return {
        "size": t.size,
        "bits_offset": word >> 16 & 255,
        "nr_bits": word & 255,
        "encoding": INT_ENCODINGS.get(word >> 24 & 15, "UNKN"),
    }


def _ref(t: BtfType) -> Fields:
    return {"type_id": t.type}


def _array(t: BtfType) -> Fields:
    return dict(zip(("type_id", "index_type_id", "nr_elems"), t.words, strict=True))


def _composite(t: BtfType) -> Fields:
    members = []
    for name, type_id, offset, bit_size in t.members:
        member = {"name": name or ANONYMOUS, "type_id": type_id, "bits_offset": offset}
        if bit_size:
            member["bitfield_size"] = bit_size
        members.append(member)
    return {"size": t.size, "vlen": t.vlen, "members": members}


def _enum(t: BtfType) -> Fields:
    return {
        "encoding": "SIGNED" if t.kind_flag else "UNSIGNED",
        "size": t.size,
        "vlen": t.vlen,
        "values": [{"name": name or ANONYMOUS, "val": value} for name, value in t.enumerators],
    }


def _fwd(t: BtfType) -> Fields:
    return {"fwd_kind": "union" if t.kind_flag else "struct"}


def _linked(t: BtfType) -> Fields:
    return {"type_id": t.type, "linkage": linkage_word(t.linkage or 0)}


def _func_proto(t: BtfType) -> Fields:
    params = [{"name": name or ANONYMOUS, "type_id": type_id} for name, type_id in t.params]
    return {"ret_type_id": t.type, "vlen": t.vlen, "params": params}


def _datasec(t: BtfType) -> Fields:
    entries = [{"type_id": e.type, "offset": e.offset, "size": e.size} for e in t.entries]
    return {"size": t.size, "vlen": t.vlen, "vars": entries}


def _float(t: BtfType) -> Fields:
    return {"size": t.size}


def _decl_tag(t: BtfType) -> Fields:
    return {"type_id": t.type, "component_idx": t.component_idx}


def _loc_param(t: BtfType) -> Fields:
    low, high = t.words
    fields: Fields = {"size": signed(t.size_or_type, 32)}
    if t.kind_flag:
        return fields | {"value": high << 32 | low}
    return fields | {"reg": low & 0xFFFF, "flags": low >> 16, "offset": signed(high, 32)}


def _loc_proto(t: BtfType) -> Fields:
    return {"type_id": t.type, "vlen": t.vlen, "params": list(t.words)}


def _locsec(t: BtfType) -> Fields:
    keys = ("type_id", "loc_proto", "offset")
    sites = zip(*[iter(t.words)] * len(keys), strict=True)
    return {"vlen": t.vlen, "locs": [dict(zip(keys, site, strict=True)) for site in sites]}


_FIELDS: dict[Kind, Callable[[BtfType], Fields]] = {
    **dict.fromkeys(COMPOSITES, _composite),
    **dict.fromkeys(ENUMS, _enum),
    **dict.fromkeys(MODIFIERS | {Kind.PTR}, _ref),
    Kind.INT: _int,
    Kind.ARRAY: _array,
    Kind.FWD: _fwd,
    Kind.FUNC: _linked,
    Kind.FUNC_PROTO: _func_proto,
    Kind.VAR: _linked,
    Kind.DATASEC: _datasec,
    Kind.FLOAT: _float,
    Kind.DECL_TAG: _decl_tag,
    Kind.LOC_PARAM: _loc_param,
    Kind.LOC_PROTO: _loc_proto,
    Kind.LOCSEC: _locsec,
}
