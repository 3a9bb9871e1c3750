# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""JSON: the keys and values of bpftool."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from kbtf import Btf, BtfBuilder, Kind
from kbtf.btf.dump.json import dump_json

if TYPE_CHECKING:
    from pathlib import Path

    Types = list[dict[str, Any]]


def types_of(btf: Btf) -> Types:
    document: dict[str, Types] = json.loads("".join(dump_json(btf)))
    assert list(document) == ["types"]
    return document["types"]


def every_kind(byte_order: str) -> Btf:
    b = BtfBuilder(byte_order=byte_order)
    integer = b.add_int("int", 4, encoding=1)
    pointer = b.add_ref(Kind.PTR, 0)
    b.add_array(integer, integer, 3)
    struct = b.add_composite(Kind.STRUCT, "s", 8, [("a", integer, 0), ("", pointer, 32)])
    b.add_composite(Kind.UNION, "", 4, [("low", integer, 0, 3)])
    b.add_enum("e", 4, [("A", 1)])
    b.add_fwd("f", union=True)
    for kind in (Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT):
        b.add_ref(kind, struct, "alias" if kind is Kind.TYPEDEF else "")
    proto = b.add_func_proto(integer, [("x", integer), ("", 0)])
    b.add_func("fn", proto, 2)
    variable = b.add_var("var", integer, 3)
    b.add_datasec(".data", 4, [(variable, 0, 4)])
    b.add_float("double", 8)
    b.add_decl_tag("tag", struct)
    b.add_ref(Kind.TYPE_TAG, integer, "user")
    b.add_enum64("e64", 8, [("E", -(1 << 63))], signed=True)
    return b.build()


EVERY_KIND: Types = [
    {"id": 1, "kind": "INT", "name": "int", "size": 4, "bits_offset": 0, "nr_bits": 32,
     "encoding": "SIGNED"},
    {"id": 2, "kind": "PTR", "name": "(anon)", "type_id": 0},
    {"id": 3, "kind": "ARRAY", "name": "(anon)", "type_id": 1, "index_type_id": 1, "nr_elems": 3},
    {"id": 4, "kind": "STRUCT", "name": "s", "size": 8, "vlen": 2, "members": [
        {"name": "a", "type_id": 1, "bits_offset": 0},
        {"name": "(anon)", "type_id": 2, "bits_offset": 32}]},
    {"id": 5, "kind": "UNION", "name": "(anon)", "size": 4, "vlen": 1, "members": [
        {"name": "low", "type_id": 1, "bits_offset": 0, "bitfield_size": 3}]},
    {"id": 6, "kind": "ENUM", "name": "e", "encoding": "UNSIGNED", "size": 4, "vlen": 1,
     "values": [{"name": "A", "val": 1}]},
    {"id": 7, "kind": "FWD", "name": "f", "fwd_kind": "union"},
    {"id": 8, "kind": "TYPEDEF", "name": "alias", "type_id": 4},
    {"id": 9, "kind": "VOLATILE", "name": "(anon)", "type_id": 4},
    {"id": 10, "kind": "CONST", "name": "(anon)", "type_id": 4},
    {"id": 11, "kind": "RESTRICT", "name": "(anon)", "type_id": 4},
    {"id": 12, "kind": "FUNC_PROTO", "name": "(anon)", "ret_type_id": 1, "vlen": 2, "params": [
        {"name": "x", "type_id": 1}, {"name": "(anon)", "type_id": 0}]},
    {"id": 13, "kind": "FUNC", "name": "fn", "type_id": 12, "linkage": "extern"},
    {"id": 14, "kind": "VAR", "name": "var", "type_id": 1, "linkage": "(unknown)"},
    {"id": 15, "kind": "DATASEC", "name": ".data", "size": 4, "vlen": 1, "vars": [
        {"type_id": 14, "offset": 0, "size": 4}]},
    {"id": 16, "kind": "FLOAT", "name": "double", "size": 8},
    {"id": 17, "kind": "DECL_TAG", "name": "tag", "type_id": 4, "component_idx": -1},
    {"id": 18, "kind": "TYPE_TAG", "name": "user", "type_id": 1},
    {"id": 19, "kind": "ENUM64", "name": "e64", "encoding": "SIGNED", "size": 8, "vlen": 1,
     "values": [{"name": "E", "val": -(1 << 63)}]},
]  # fmt: skip


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_every_kind_has_its_keys_in_their_order(byte_order: str) -> None:
    types = types_of(every_kind(byte_order))

    assert types == EVERY_KIND
    assert [list(t) for t in types] == [list(t) for t in EVERY_KIND]


def test_btf_without_types_is_a_document_too() -> None:
    assert types_of(BtfBuilder().build()) == []


def test_names_are_escaped_and_come_back() -> None:
    name = b'quote " back\\slash \x01 \xff \xc3\xa9'.decode("utf-8", "surrogateescape")
    b = BtfBuilder()
    b.add_fwd(name)

    assert "".join(dump_json(b.build())).isascii()
    assert types_of(b.build())[0]["name"] == name


def bpftool_types(bpftool: Path, file: Path, base: Path | None = None) -> Types:
    on: list[str | Path] = ["-B", base] if base is not None else []
    command: list[str | Path] = [bpftool, "-j", *on, "btf", "dump", "file", file]
    done = subprocess.run(command, check=True, capture_output=True)
    types: Types = json.loads(done.stdout)["types"]
    for t in types:
        # bpftool prints a large value of an unsigned ENUM as if it were a negative 64-bit number
        if t["kind"] == "ENUM" and t["encoding"] == "UNSIGNED":
            for value in t["values"]:
                value["val"] &= 0xFFFFFFFF
    return types


@pytest.mark.integration
@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_every_kind_is_as_bpftool_has_it(byte_order: str, bpftool: Path, tmp_path: Path) -> None:
    btf = every_kind(byte_order)
    file = tmp_path / "every.btf"
    file.write_bytes(btf.to_bytes())

    assert types_of(btf) == bpftool_types(bpftool, file)


@pytest.mark.integration
@pytest.mark.parametrize("name", ["6.12.117", "6.12.115", "6.12.117-cloud"])
def test_a_kernel_is_as_bpftool_has_it(
    name: str, corpus: Path, bpftool: Path, tmp_path: Path
) -> None:
    file = tmp_path / "vmlinux.btf"
    file.write_bytes((corpus / "base" / f"{name}.btf").read_bytes())

    same = types_of(Btf.parse(file.read_bytes())) == bpftool_types(bpftool, file)

    assert same is True  # on its own, as the difference would be looked for in 15 MB


@pytest.mark.integration
def test_modules_are_as_bpftool_has_them(
    corpus: Path, corpus_base: Btf, bpftool: Path, tmp_path: Path
) -> None:
    vmlinux = tmp_path / "vmlinux.btf"
    vmlinux.write_bytes(corpus_base.to_bytes())
    paths = sorted((corpus / "split").glob("*.btf"))
    assert len(paths) == 35
    for path in paths:
        split = Btf.parse(path.read_bytes(), corpus_base)
        assert types_of(split) == bpftool_types(bpftool, path, vmlinux), path.stem
