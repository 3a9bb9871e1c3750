# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Distilling: the bytes of libbpf, on real modules and on small cases."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from kbtf import Btf, BtfBuilder, BtfError, Kind, distill

if TYPE_CHECKING:
    from pathlib import Path


def test_every_module_of_the_corpus_is_distilled_as_libbpf_does(
    corpus: Path, corpus_base: Btf
) -> None:
    paths = sorted((corpus / "split").glob("*.btf"))
    assert len(paths) == 35
    for path in paths:
        result = distill(Btf.parse(path.read_bytes(), corpus_base))
        golden = corpus / "distilled" / path.stem
        assert result.base.to_bytes() == golden.with_name(path.stem + ".base").read_bytes()
        assert result.split.to_bytes() == golden.with_name(path.stem + ".split").read_bytes()


def test_every_synthetic_case_is_distilled_or_refused_as_libbpf_does(corpus: Path) -> None:
    rows = [line.split("\t") for line in (corpus / "synth/results.tsv").read_text().splitlines()]
    cases = {row[0]: row[2] for row in rows if row[1] == "distill"}
    assert len(cases) == 60
    for case, err in cases.items():
        folder = corpus / "synth" / case
        base = Btf.parse((folder / "base.btf").read_bytes())
        split = Btf.parse((folder / "split.btf").read_bytes(), base)
        if err != "0":
            with pytest.raises(BtfError):
                distill(split)
            continue
        result = distill(split)
        assert result.base.to_bytes() == (folder / "dist.base").read_bytes(), case
        assert result.split.to_bytes() == (folder / "dist.split").read_bytes(), case


def libbpf_distill(tool: Path, folder: Path, base: bytes, split: bytes) -> tuple[bytes, bytes]:
    for name, data in (("base", base), ("split", split)):
        (folder / name).write_bytes(data)
    names = [str(folder / name) for name in ("base", "split", "out.base", "out.split")]
    subprocess.run([tool, "distill", *names], check=True, capture_output=True)
    return (folder / "out.base").read_bytes(), (folder / "out.split").read_bytes()


@pytest.mark.integration
@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_every_kind_is_distilled_as_libbpf_does(
    byte_order: str, libbpf: Path, tmp_path: Path
) -> None:
    b = BtfBuilder(byte_order=byte_order)
    integer = b.add_int("int", 4, encoding=1)
    b.add_composite(Kind.STRUCT, "unused", 64)
    named = b.add_composite(Kind.STRUCT, "named", 8, [("bits", integer, 0, 3)])
    anonymous = b.add_composite(Kind.UNION, "", 8, [("named", named, 0), ("word", integer, 0)])
    enum = b.add_enum("enum", 4, [("A", -1)], signed=True)
    anonymous_enum = b.add_enum("", 4, [("ANON", 1)])
    enum64 = b.add_enum64("enum64", 8, [("B", 1 << 40)])
    fwd = b.add_fwd("fwd", union=True)
    number = b.add_float("double", 8)
    typedef = b.add_ref(Kind.TYPEDEF, anonymous, "alias")
    tag = b.add_ref(Kind.TYPE_TAG, fwd, "user")
    proto = b.add_func_proto(typedef, [("arg", tag), ("rest", 0)])
    chain = b.add_ref(Kind.PTR, proto)
    for kind in (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT):
        chain = b.add_ref(kind, chain)
    base = b.build()
    s = BtfBuilder(base)
    own = s.add_composite(Kind.STRUCT, "own", 8, [("alias", typedef, 0), ("new", enum, 32)])
    s.add_array(own, integer, 3)
    s.add_func("fn", s.add_func_proto(chain, [("a", number), ("b", enum64)]))
    s.add_ref(Kind.TYPEDEF, anonymous_enum, "named")
    s.add_decl_tag("tag", own, 1)
    split = s.build()

    result = distill(split)

    expected = libbpf_distill(libbpf, tmp_path, base.to_bytes(), split.to_bytes())
    assert (result.base.to_bytes(), result.split.to_bytes()) == expected
    assert result.base.byte_order == result.split.byte_order == byte_order


def small_base() -> BtfBuilder:
    b = BtfBuilder(byte_order="little")
    b.add_int("int", 4)
    b.add_composite(Kind.STRUCT, "s", 8, [("a", 1, 0)])
    return b


def test_a_named_struct_of_the_base_keeps_its_size_and_loses_its_members() -> None:
    s = BtfBuilder(small_base().build())
    s.add_ref(Kind.PTR, 2)

    result = distill(s.build())

    assert [(t.kind, t.name, t.size, t.vlen) for t in result.base] == [(Kind.STRUCT, "s", 8, 0)]
    assert [(t.kind, t.type) for t in result.split] == [(Kind.PTR, 1)]


def test_new_ids_say_where_each_type_went() -> None:
    b = small_base()
    pointer = b.add_ref(Kind.PTR, 2)
    s = BtfBuilder(b.build())
    own = s.add_ref(Kind.TYPEDEF, pointer, "own")

    result = distill(s.build())

    assert result.new_id(2) == 1
    assert result.new_id(own) == 2
    assert result.new_id(pointer) == 3
    assert result.new_id(1) == 0


def test_a_split_without_references_gives_an_empty_base() -> None:
    s = BtfBuilder(small_base().build())
    s.add_fwd("own")

    assert len(distill(s.build()).base) == 0


@pytest.mark.parametrize("kind", [Kind.FUNC, Kind.VAR, Kind.DATASEC, Kind.DECL_TAG])
def test_a_reference_to_what_is_no_type_of_a_value_is_refused(kind: Kind) -> None:
    b = small_base()
    bad = {
        Kind.FUNC: lambda: b.add_func("fn", b.add_func_proto(0)),
        Kind.VAR: lambda: b.add_var("v", 1),
        Kind.DATASEC: lambda: b.add_datasec(".data", 4, []),
        Kind.DECL_TAG: lambda: b.add_decl_tag("t", 2),
    }[kind]()
    s = BtfBuilder(b.build())
    s.add_ref(Kind.TYPEDEF, bad, "own")

    with pytest.raises(BtfError, match=f"{kind.name} of the base"):
        distill(s.build())


@pytest.mark.parametrize("size", [0, 3, 16])
def test_a_named_enum_of_an_odd_size_is_refused(size: int) -> None:
    b = small_base()
    enum = b.add_enum("e", size)
    s = BtfBuilder(b.build())
    s.add_ref(Kind.PTR, enum)

    with pytest.raises(BtfError, match="ENUM of"):
        distill(s.build())


def test_base_btf_cannot_be_distilled() -> None:
    with pytest.raises(BtfError, match="only split BTF"):
        distill(small_base().build())


def test_a_chain_of_100000_types_is_distilled() -> None:
    b = small_base()
    last = 2
    for _ in range(100_000):
        last = b.add_ref(Kind.PTR, last)
    s = BtfBuilder(b.build())
    s.add_ref(Kind.TYPEDEF, last, "deep")

    result = distill(s.build())

    assert len(result.split) == 100_001


def test_a_cycle_of_types_ends() -> None:
    b = small_base()
    node = b.add_composite(Kind.STRUCT, "", 8, [("next", b.next_id + 1, 0)])
    b.add_ref(Kind.PTR, node)
    s = BtfBuilder(b.build())
    s.add_ref(Kind.TYPEDEF, node, "list")

    assert [t.kind for t in distill(s.build()).split] == [Kind.TYPEDEF, Kind.STRUCT, Kind.PTR]
