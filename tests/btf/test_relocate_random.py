# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Relocating random BTF: it ends as with libbpf."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btf.relocations import ours, theirs
from kbtf import Btf, BtfBuilder, Kind, distill

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


Spec = tuple[Kind, str, int, bool]
NAMED = (Kind.INT, Kind.FLOAT, Kind.ENUM, Kind.ENUM64, Kind.FWD, Kind.STRUCT, Kind.UNION)
MODIFIERS = (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPEDEF, Kind.TYPE_TAG, Kind.PTR)
USED = (*MODIFIERS, Kind.ARRAY, Kind.STRUCT, Kind.UNION, Kind.FUNC_PROTO)
SIZES = st.sampled_from((4, 8, 1))
SPECS = st.tuples(st.sampled_from(NAMED), st.sampled_from("ab"), SIZES, st.booleans())
LINKS = st.lists(st.tuples(st.sampled_from(USED), st.integers(1, 30), st.integers(1, 30)))


def add_specs(b: BtfBuilder, specs: Sequence[Spec]) -> None:
    for kind, name, size, flag in specs:
        if kind is Kind.INT:
            b.add_int(name, size, encoding=int(flag), bits=8)
        elif kind is Kind.FWD:
            b.add_fwd(name, union=flag)
        else:
            b.add(kind, name, kind_flag=flag, size_or_type=size)


def add_links(b: BtfBuilder, links: Sequence[tuple[Kind, int, int]], names: str) -> None:
    """Types that refer to lower ones: libbpf never ends with a cycle."""
    for nth, (kind, one, two) in enumerate(links):
        first, second = (1 + at % (b.next_id - 1) for at in (one, two))
        name = names[nth % len(names)]
        if kind in (Kind.TYPEDEF, Kind.TYPE_TAG):
            b.add_ref(kind, first, name)
        elif kind in MODIFIERS:
            b.add_ref(kind, first)
        elif kind is Kind.ARRAY:
            b.add_array(first, second, 2)
        elif kind is Kind.FUNC_PROTO:
            b.add_func_proto(first, [(name, second)])
        else:
            own = name if nth % 2 else ""
            b.add_composite(kind, own, 64, [(name, first, 0), ("b", second, 0)])


@st.composite
def changed(draw: st.DrawFn, specs: Sequence[Spec]) -> list[Spec]:
    """The types of another kernel: some gone, new, twice, of another size or kind, in disorder."""
    result: list[Spec] = []
    for spec in specs:
        kind, name, size, flag = spec
        result += draw(
            st.sampled_from(
                [
                    [spec],
                    [spec],
                    [spec],
                    [spec, spec],
                    [],
                    [(kind, name, size ^ 12, flag)],
                    [(kind, name, size | 1 << 31, flag)],
                    [(kind, name, size, not flag)],
                    [(draw(st.sampled_from(NAMED)), name, size, flag)],
                    [(kind, "c", size, flag)],
                ]
            )
        )
    result += draw(st.lists(SPECS, max_size=2))
    return draw(st.permutations(result))


@st.composite
def relocations(draw: st.DrawFn) -> tuple[Btf, Btf]:
    byte_order = draw(st.sampled_from(("little", "big")))
    specs = draw(st.lists(SPECS, min_size=1, max_size=5))
    b = BtfBuilder(byte_order=byte_order)
    add_specs(b, specs)
    add_links(b, draw(LINKS), "ab")
    s = BtfBuilder(b.build())
    add_links(s, draw(LINKS), "bcd")
    t = BtfBuilder(byte_order=byte_order)
    t.add_ref(Kind.TYPEDEF, 0, "a")
    add_specs(t, draw(changed(specs)))
    target = t.to_bytes()
    if draw(st.booleans()):
        target = target.replace(b"\0c\0", b"\0a\0")  # the same string twice
    return distill(s.build()).split, Btf.parse(target)


@pytest.mark.integration
@settings(max_examples=300, deadline=None)
@given(inputs=relocations())
def test_any_relocation_ends_as_with_libbpf(
    inputs: tuple[Btf, Btf], libbpf: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any_relocation"
    folder.mkdir(exist_ok=True)
    assert ours(*inputs) == theirs(libbpf, folder, *inputs)
