# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`kbtf ksyms`: names and prototypes, compared as libbpf compares them."""

from __future__ import annotations

import random
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from bpf.externs import PROTOTYPES
from bpf.objects import btf_of, compile_c
from kbtf import BtfBuilder, BtfError, Kind
from kbtf.bpf.proto import declaration, difference, essential_name

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("needs_clang")


@pytest.mark.parametrize(
    ("name", "essential"),
    [
        ("name", "name"),
        ("name___x", "name"),
        ("name___x___y", "name___x"),
        ("name____x", "name____x"),
        ("name___", "name___"),
        ("___x", "___x"),
        ("a___b", "a"),
        ("", ""),
    ],
)
def test_a_flavour_is_what_follows_three_underscores(name: str, essential: str) -> None:
    assert essential_name(name) == essential


OFTEN = [Kind.PTR, *[Kind.FUNC_PROTO] * 5]
ALL = [
    *[Kind.PTR, Kind.ARRAY, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FWD],
    *[Kind.TYPEDEF, Kind.CONST, Kind.TYPE_TAG, Kind.FUNC_PROTO],
]


def random_types(chance: random.Random) -> tuple[BtfBuilder, list[int]]:
    """Types of all kinds that refer to earlier ones."""
    types = BtfBuilder()
    ids = [0]
    ids.append(types.add_int("int", 4, encoding=1))
    word = 4 << 16 | 4
    ids.append(types.add(Kind.INT, "bits", size_or_type=4, words=(word,)))
    ids.append(types.add_float("float", 4))
    for at in range(40):
        kind = chance.choice(OFTEN + ALL)
        one = chance.choice(ids[-8:])
        if kind is Kind.ARRAY:
            new = types.add_array(one or 1, 1, at)
        elif kind in (Kind.STRUCT, Kind.UNION):
            new = types.add_composite(kind, f"s{at}", at)
        elif kind is Kind.ENUM:
            new = types.add_enum(f"e{at}", 4)
        elif kind is Kind.ENUM64:
            new = types.add_enum64(f"e{at}", 8)
        elif kind is Kind.FWD:
            new = types.add_fwd(f"f{at}", union=chance.random() < 0.5)
        elif kind is Kind.FUNC_PROTO:
            params = [("", chance.choice(ids)) for _ in range(chance.randrange(3))]
            new = types.add_func_proto(one, params)
        elif kind in (Kind.TYPEDEF, Kind.TYPE_TAG):
            new = types.add_ref(kind, one, f"t{at}")
        else:
            new = types.add_ref(kind, one)
        ids.append(new)
    return types, ids


def compare_with_libbpf(
    oracle: Path,
    folder: Path,
    builders: tuple[BtfBuilder, BtfBuilder],
    pairs: list[tuple[int, int]],
) -> int:
    """How many of the pairs are compatible, which must be the same ones as for libbpf."""
    local, target = (builder.build() for builder in builders)
    (folder / "local").write_bytes(local.to_bytes())
    (folder / "target").write_bytes(target.to_bytes())
    asked = "".join(f"{one} {other}\n" for one, other in pairs)
    command: list[str | Path] = [oracle, "compat", folder / "local", folder / "target"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    answers = re.findall(r"^-?\d+$", done.stdout, re.MULTILINE)
    expected = [int(answer) > 0 for answer in answers]
    assert [difference(local, one, target, other) is None for one, other in pairs] == expected
    return sum(expected)


def test_prototypes_are_compared_as_by_libbpf(oracle: Path, tmp_path: Path) -> None:
    fitting = 0
    for seed in range(12):
        chance = random.Random(seed)  # noqa: S311 - no secret
        (local, ids), (target, others) = random_types(chance), random_types(chance)
        pairs = [(one, other) for one in ids for other in others]
        fitting += compare_with_libbpf(oracle, tmp_path, (local, target), pairs)
    assert fitting > 300


@pytest.mark.parametrize("depth", [30, 31, 32, 33])
def test_pointers_and_prototypes_are_followed_as_deep_as_by_libbpf(
    oracle: Path, tmp_path: Path, depth: int
) -> None:
    deep = BtfBuilder()
    pointer = proto = deep.add_int("int", 4)
    for _ in range(depth):
        pointer = deep.add_ref(Kind.PTR, pointer)
        proto = deep.add_func_proto(0, [("f", proto)])
    returning = deep.add_func_proto(pointer)
    pairs = [(t, t) for t in (pointer, proto, returning)]

    compare_with_libbpf(oracle, tmp_path, (deep, deep), pairs)


def test_a_ring_of_typedefs_is_one_line() -> None:
    ring = BtfBuilder()
    first = ring.add_ref(Kind.TYPEDEF, 2, "first")
    ring.add_ref(Kind.TYPEDEF, 1, "second")
    btf = ring.build()

    with pytest.raises(BtfError, match="cycle"):
        difference(btf, first, btf, first)


def test_a_prototype_in_c(tmp_path: Path) -> None:
    btf = btf_of(compile_c(PROTOTYPES, tmp_path / "o"))
    func = btf.find("a_two", Kind.FUNC)
    assert func is not None
    assert declaration(btf, func.size_or_type, func.name) == "long a_two(int, struct task *)"
