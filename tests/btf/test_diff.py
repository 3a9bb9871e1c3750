# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What differs between two bases."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest

from btf.bases import base_of, words
from kbtf import Btf, BtfBuilder, Kind
from kbtf.btf.diff import diff_bases

if TYPE_CHECKING:
    from pathlib import Path


def test_equal_bases_are_identical() -> None:
    diff = diff_bases(base_of("STRUCT foo 8"), base_of("STRUCT foo 8"))

    assert diff.identical
    assert diff.first is diff.first_other is None
    assert diff.types == (2, 2)
    assert diff.strings == (3, 3)
    assert words(diff) == []


CASES = """
STRUCT foo 8                | STRUCT foo 1                | ~ struct foo (8) -> struct foo (1)
STRUCT foo 8                | UNION foo 8                 | ! struct foo (8) -> union foo (8)
STRUCT foo 8                | FWD foo                     | ! struct foo (8) -> declared struct foo
STRUCT foo 8                | STRUCT bar 8                | + struct bar (8), - struct foo (8)
STRUCT foo 8                | TYPEDEF foo 1               | + typedef foo (4), - struct foo (8)
STRUCT foo 8                | FUNC foo                    | + func foo, - struct foo (8)
ENUM foo 4                  | ENUM64 foo 4                |
ENUM foo 4                  | ENUM64 foo 8                | ~ enum foo (4) -> enum foo (8)
STRUCT foo 8, STRUCT foo 4  | STRUCT foo 4, STRUCT foo 8  |
STRUCT foo 8, STRUCT foo 8  | STRUCT foo 8                | - struct foo (8)
STRUCT foo 8, FWD foo       | FWD foo, UNION foo 2        | ! struct foo (8) -> union foo (2)
STRUCT foo 8, UNION foo 8   | UNION foo 4, STRUCT foo 8   | ~ union foo (8) -> union foo (4)
UNION foo 8, STRUCT foo 8   | STRUCT foo 4, STRUCT foo 2  | ~ struct foo (8) -> struct foo (4), \
                                                            ! union foo (8) -> struct foo (2)
STRUCT - 8, TYPEDEF t 2     | STRUCT - 9, TYPEDEF t 2     | ~ typedef t (8) -> typedef t (9)
STRUCT s 8, TYPEDEF t 2     | STRUCT s 9, TYPEDEF t 2     | ~ struct s (8) -> struct s (9)
PTR - 1, TYPEDEF t 2        | CONST - 1, TYPEDEF t 2      | ! typedef t -> typedef t (4)
TYPEDEF t 2                 | TYPEDEF t 1                 | ! typedef t -> typedef t (4)
"""


@pytest.mark.parametrize("case", CASES.strip().splitlines())
def test_named_types_are_matched(case: str) -> None:
    a, b, expected = ([part.strip() for part in cell.split(",")] for cell in case.split("|"))

    assert words(diff_bases(base_of(*a), base_of(*b))) == [line for line in expected if line]


def test_the_first_id_that_differs_and_the_first_that_is_another_type() -> None:
    a = BtfBuilder()
    a.add_ref(Kind.PTR, 2)
    a.add_composite(Kind.STRUCT, "s", 8)
    b = BtfBuilder()
    b.add_ref(Kind.PTR, 3)
    b.add_float("double", 8)
    b.add_composite(Kind.STRUCT, "s", 8)

    diff = diff_bases(a.build(), b.build())

    assert diff.first is not None
    assert diff.first.id == 1
    assert diff.first.a == ("PTR, [2] struct s",)
    assert diff.first.b == ("PTR, [3] struct s",)
    assert diff.first_other is not None
    assert diff.first_other.id == 2
    assert diff.first_other.b == ("FLOAT 'double', 8 bytes",)


def test_one_base_that_goes_on_where_the_other_ends() -> None:
    diff = diff_bases(base_of(), base_of("STRUCT foo 8"))

    assert diff.first is not None
    assert diff.first.id == 2
    assert (diff.first.a, diff.first.b) == ((), ("STRUCT 'foo', 8 bytes, 0 items",))


def test_names_count_and_not_where_they_are_stored() -> None:
    def types(b: BtfBuilder) -> Btf:
        b.add_composite(Kind.STRUCT, "s", 4, [("x", b.add_int("int", 4), 0)])
        return b.build()

    other = BtfBuilder()
    other.add_string("x")

    diff = diff_bases(types(BtfBuilder()), types(other))

    assert diff.first is None
    assert not diff.same_strings
    assert not diff.identical


def test_every_part_of_a_type_counts() -> None:
    def with_member(name: str, offset: int, width: int = 0) -> Btf:
        b = BtfBuilder()
        integer = b.add_int("int", 4)
        b.add_composite(
            Kind.STRUCT, "s", 8, [("first", integer, 0), (name, integer, offset, width)]
        )
        return b.build()

    a = with_member("x", 32)
    for b in (with_member("y", 32), with_member("x", 36), with_member("x", 32, 3)):
        diff = diff_bases(a, b)
        assert diff.first is not None
        assert diff.first.id == 2
        assert diff.first.a[1] == diff.first.b[1]
        assert diff.first.a != diff.first.b


def test_many_types_of_a_name_and_a_ring_of_typedefs_take_no_time() -> None:
    def many(size: int) -> Btf:
        b = BtfBuilder()
        for at in range(20_000):
            b.add(Kind.STRUCT, "same", size_or_type=size + at)
        b.add(Kind.TYPEDEF, "ring", size_or_type=20_002)
        b.add(Kind.TYPEDEF, "gnir", size_or_type=20_001)
        return b.build()

    diff = diff_bases(many(0), many(10_000))

    assert len(diff.resized) == 10_000


# Against bpftool's text of the same bases, compared block by block.


class Block(NamedTuple):
    """A type as bpftool prints it."""

    kind: str
    name: str
    head: str
    lines: tuple[str, ...]


def bpftool_types(bpftool: Path, path: Path) -> dict[int, Block]:
    command = [str(bpftool), "btf", "dump", "file", str(path), "format", "raw"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {}
    for block in re.split(r"\n(?=\[)", text.rstrip("\n")):
        head, *lines = block.split("\n")
        match = re.fullmatch(r"\[(\d+)\] (\w+) '(.*?)' ?(.*)", head)
        assert match, head
        name = "" if match[3] == "(anon)" else match[3]
        found[int(match[1])] = Block(match[2], name, match[4], tuple(lines))
    return found


def size_of(types: dict[int, Block], block: Block) -> int | None:
    """As a compiler would say, for what gives a size to a name."""
    if block.kind in ("TYPEDEF", "CONST", "VOLATILE", "RESTRICT", "TYPE_TAG", "ARRAY"):
        target = types.get(int(re.findall(r"\btype_id=(\d+)", block.head)[0]))
        if target is None or (target.kind in ("STRUCT", "UNION", "ENUM", "ENUM64") and target.name):
            return None
        size = size_of(types, target)
        if size is not None and block.kind == "ARRAY":
            size *= int(re.findall(r"nr_elems=(\d+)", block.head)[0])
        return size
    found = re.findall(r"\bsize=(\d+)", block.head)
    return int(found[0]) if found else None


TAGS = {"STRUCT", "UNION", "ENUM", "ENUM64", "FWD"}
OTHERS = {"INT", "FLOAT", "TYPEDEF"}


def by_name(types: dict[int, Block]) -> dict[tuple[str, str], Counter[tuple[str, int | None]]]:
    found: dict[tuple[str, str], Counter[tuple[str, int | None]]] = {}
    for block in types.values():
        if block.name and block.kind not in ("DECL_TAG", "TYPE_TAG"):
            space = "tag" if block.kind in TAGS else "other" if block.kind in OTHERS else block.kind
            word = block.kind.removesuffix("64") + block.head * (block.kind == "FWD")
            size = size_of(types, block)
            found.setdefault((space, block.name), Counter())[word, size] += 1
    return found


@pytest.mark.integration
@pytest.mark.parametrize("name", ["6.12.115", "6.12.117-cloud"])
def test_bases_of_kernels_differ_as_their_text_does(
    name: str, corpus: Path, corpus_base: Btf, bpftool: Path, tmp_path: Path
) -> None:
    other = Btf.parse((corpus / "base" / f"{name}.btf").read_bytes())
    texts = []
    for at, btf in enumerate((corpus_base, other)):
        path = tmp_path / str(at)
        path.write_bytes(btf.to_bytes())
        texts.append(bpftool_types(bpftool, path))
    one, two = texts

    diff = diff_bases(corpus_base, other)

    assert diff.types == (len(one), len(two))
    assert diff.first is not None
    assert diff.first.id == next(at for at in one if one[at] != two.get(at))
    names_one, names_two = by_name(one), by_name(two)
    gone = Counter(
        {key: (c - names_two.get(key, Counter())).total() for key, c in names_one.items()}
    )
    new = Counter(
        {key: (c - names_one.get(key, Counter())).total() for key, c in names_two.items()}
    )
    # of each name as many are paired as both have left over
    added, removed = new - gone, gone - new
    assert Counter(t.name for t in diff.added) == totals(added)
    assert Counter(t.name for t in diff.removed) == totals(removed)
    paired = Counter(a.name for a, _ in diff.resized + diff.changed_kind)
    assert paired == totals(gone & new)
    for a, b in diff.resized + diff.changed_kind:
        assert a.name == b.name
        assert (one[a.id].kind == two[b.id].kind) or a.word != b.word
        assert (a.size, b.size) == (size_of(one, one[a.id]), size_of(two, two[b.id]))
    for a, b in diff.resized:
        assert a.word == b.word
        assert a.size != b.size
    assert diff.resized
    if name == "6.12.115":
        assert "~ struct device_type (56) -> struct device_type (48)" in words(diff)


def totals(counted: Counter[tuple[str, str]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, name), number in counted.items():
        found[name] += number
    return found
