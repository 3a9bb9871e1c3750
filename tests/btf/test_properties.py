# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What holds for any BTF: generated types of all kinds, in both byte orders, cycles among them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kbtf import Btf, BtfBuilder, BtfError, BtfType, Kind, distill, relocate, verify
from kbtf.btf.kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("", "a", "b", "task", "int")
REFS = (Kind.PTR, Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPEDEF, Kind.TYPE_TAG)
OTHERS = tuple(kind for kind in Kind if kind not in (Kind.UNKN, *REFS))


def add_type(b: BtfBuilder, draw: st.DrawFn, last: int) -> None:
    """One more type of *last*.  Cycles go through a named struct or union, as they do in C."""
    name = draw(st.sampled_from(NAMES))
    kind = draw(st.sampled_from((*REFS, *OTHERS) if b.next_id > 1 else (Kind.INT, Kind.STRUCT)))
    is_named_composite = name and kind in (Kind.STRUCT, Kind.UNION)
    reach = last if is_named_composite else b.next_id - 1
    ids = st.integers(1, reach) if reach else st.just(0)
    match kind:
        case Kind.INT:
            b.add_int(name or "int", draw(st.sampled_from((1, 4, 8))), encoding=1)
        case Kind.ARRAY:
            b.add_array(draw(ids), draw(ids), draw(st.integers(0, 3)))
        case Kind.STRUCT | Kind.UNION:
            members = draw(st.lists(st.tuples(st.sampled_from(NAMES), ids, st.just(0)), max_size=3))
            b.add_composite(kind, name, draw(st.sampled_from((4, 8, 64))), members)
        case Kind.ENUM | Kind.ENUM64:
            labels = sorted(draw(st.sets(st.sampled_from("XY"))))
            values = [(label, draw(st.integers(0, 9))) for label in labels]
            size = draw(st.sampled_from((1, 4, 8)))
            (b.add_enum if kind is Kind.ENUM else b.add_enum64)(name, size, values)
        case Kind.FWD:
            b.add_fwd(name or "ahead", union=draw(st.booleans()))
        case Kind.FUNC_PROTO:
            b.add_func_proto(draw(st.integers(0, reach)), [(name, draw(ids))])
        case Kind.FUNC:
            b.add_func(name or "call", draw(ids))
        case Kind.VAR:
            b.add_var(name or "v", draw(ids))
        case Kind.DATASEC:
            b.add_datasec(".data", 64, [(draw(ids), 0, 4)])
        case Kind.FLOAT:
            b.add_float(name or "double", 8)
        case Kind.LOC_PARAM:
            b.add(kind, size_or_type=8, words=(draw(st.integers(0, 31)), 0))
        case Kind.LOC_PROTO:
            places = draw(st.lists(ids, max_size=3))
            b.add(kind, vlen=len(places), words=places)
        case Kind.LOCSEC:
            sites = draw(st.lists(st.tuples(ids, ids, st.just(8)), max_size=3))
            b.add(kind, name, vlen=len(sites), words=[w for site in sites for w in site])
        case Kind.DECL_TAG:
            b.add_decl_tag(name or "tag", draw(ids))
        case _:
            named = kind in (Kind.TYPEDEF, Kind.TYPE_TAG)
            words = (0,) * KINDS[kind].tail_words
            b.add(kind, name if named else "", size_or_type=draw(ids), words=words)


@st.composite
def any_btf(draw: st.DrawFn, base: Btf | None = None, byte_order: str = "little") -> Btf:
    """BTF of any types, split on *base* if one is given."""
    b = BtfBuilder(base) if base is not None else BtfBuilder(byte_order=byte_order)
    count = draw(st.integers(1, 12))
    last = b.next_id + count - 1
    for _ in range(count):
        add_type(b, draw, last)
    return b.build()


@st.composite
def splits(draw: st.DrawFn) -> Btf:
    """Split BTF on a base, both of any types."""
    base = draw(any_btf(byte_order=draw(st.sampled_from(("little", "big")))))
    return draw(any_btf(base))


def distilled(split: Btf) -> tuple[bytes, bytes] | None:
    try:
        made = distill(split)
    except BtfError:
        return None
    return made.base.to_bytes(), made.split.to_bytes()


@given(splits())
@settings(deadline=None)
def test_what_was_read_is_written_as_it_was(split: Btf) -> None:
    assert split.base is not None
    again = Btf.parse(split.to_bytes(), Btf.parse(split.base.to_bytes()))

    assert again.to_bytes() == split.to_bytes()
    assert [t[1:] for t in again] == [t[1:] for t in split]


@given(splits())
@settings(deadline=None)
def test_what_is_distilled_and_put_on_its_own_base_says_the_same(split: Btf) -> None:
    assert split.base is not None
    names = [t.name for t in split.base if t.name]
    assume(len(set(names)) == len(names))  # else the kernel may find another of that name
    try:
        made = distill(split)
    except BtfError:
        return  # a reference to what is no type of a value
    again = relocate(made.split, split.base)

    assert [shape(again, t.id) for t in again][: len(split)] == [shape(split, t.id) for t in split]


def shape(btf: Btf, type_id: int, depth: int = 3) -> object:
    """A type with those that it refers to, some steps deep, without their numbers."""
    if type_id == 0:
        return "void"
    t = btf[type_id]
    if depth == 0:
        return (t.kind, t.name)
    below = [shape(btf, at, depth - 1) for at in references(t)]
    labels = [m.name for m in t.members] + [p.name for p in t.params]
    labels += [e.name for e in t.enumerators]
    return (t.kind, t.name, t.vlen, t.kind_flag, t.size, labels, below)


def references(t: BtfType) -> list[int]:
    own = [] if t.type is None else [t.type]
    own += [m.type for m in t.members] + [p.type for p in t.params] + [e.type for e in t.entries]
    return own + ([t.array.type, t.array.index_type] if t.array else [])


@pytest.mark.integration
@settings(max_examples=400, deadline=None)
@given(split=splits())
def test_any_split_is_distilled_as_libbpf_does(
    split: Btf, libbpf: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any_split"
    folder.mkdir(exist_ok=True)
    assert split.base is not None
    ours = distilled(split)
    assume(ours is None or len(Btf.parse(ours[0])) > 0)  # see the test below
    peer = theirs(libbpf, folder, split.base.to_bytes(), split.to_bytes())
    if ours is not None and peer is None:  # libbpf parses nothing that does not make sense
        assert verify(split) or verify(split.base)
    else:
        assert ours == peer


@pytest.mark.integration
def test_beside_an_empty_base_libbpf_loses_the_types_that_move(
    libbpf: Path, tmp_path: Path
) -> None:
    # tools/lib/bpf/btf.c, btf_add_distilled_types: it takes BTF whose ids start at 1 for the base,
    # which split BTF on an empty base is too.
    b = BtfBuilder(byte_order="little")
    nameless = b.add_composite(Kind.STRUCT, "", 4, [])
    s = BtfBuilder(b.build())
    s.add_ref(Kind.PTR, nameless)
    made = distill(s.build())

    peer = theirs(libbpf, tmp_path, b.to_bytes(), s.to_bytes())

    assert peer is not None
    assert [(t.kind, t.type) for t in Btf.parse(peer[1], Btf.parse(peer[0]))] == [(Kind.PTR, 1)]
    assert [(t.kind, t.type) for t in made.split] == [(Kind.PTR, 2), (Kind.STRUCT, None)]
    assert len(made.base) == 0


def theirs(tool: Path, folder: Path, base: bytes, split: bytes) -> tuple[bytes, bytes] | None:
    (folder / "base").write_bytes(base)
    (folder / "split").write_bytes(split)
    files = [folder / name for name in ("base", "split", "new_base", "new_split")]
    done = subprocess.run([tool, "distill", *files], capture_output=True, timeout=20)
    if done.returncode:
        return None
    return files[2].read_bytes(), files[3].read_bytes()
