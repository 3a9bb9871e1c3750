# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Deduplication of split BTF: what libbpf's btf__dedup() makes of the same input.

`tests/data/deduplicate.json.xz` has what libbpf of 30 July 2026 (commit f7081a6b) made of the first
cases of `tangled`; this file, run as a program with the path of `btf_oracle`, writes it.
"""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btf.tangled import tangled
from kbtf import Btf, BtfBuilder, BtfError, Kind, deduplicate
from kbtf.btf.deduplicate import index_base
from kbtf.btf.dump.raw import dump_raw
from kbtf.native import _native

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parents[1] / "data" / "deduplicate.json.xz"
CASES = 400


def parts(blob: bytes) -> tuple[bytes, bytes]:
    """Types and strings, whatever header stands before them."""
    word = [int.from_bytes(blob[at : at + 4], "little") for at in range(4, 24, 4)]
    start, types, type_len, strings, str_len = word[0], *word[1:]
    return (
        blob[start + types : start + types + type_len],
        blob[start + strings : start + strings + str_len],
    )


def ours(split: Btf) -> tuple[bytes, bytes] | None:
    try:
        return parts(deduplicate(split).to_bytes())
    except BtfError:
        return None


def theirs(tool: Path, folder: Path, split: Btf) -> tuple[bytes, bytes] | None:
    assert split.base is not None
    (folder / "base").write_bytes(split.base.to_bytes())
    (folder / "split").write_bytes(split.to_bytes())
    command: list[str | Path] = [tool, "dedup", folder / "base", folder / "split", folder / "out"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=10)
    except subprocess.TimeoutExpired:
        return None  # libbpf follows a ring of references without end
    return None if done.returncode else parts((folder / "out").read_bytes())


def test_hundreds_of_knots_are_untangled_as_libbpf_does() -> None:
    expected = json.loads(lzma.decompress(DATA.read_bytes()))
    assert len(expected) == CASES
    for seed, wanted in enumerate(expected):
        made = ours(tangled(seed, "little"))
        assert (made and [part.hex() for part in made]) == wanted, seed


@pytest.mark.tree
@given(seed=st.integers(CASES, 1 << 32))
@settings(deadline=None, max_examples=400)
def test_any_knot_is_untangled_as_the_newest_libbpf_does(
    seed: int, newest_libbpf: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    split = tangled(seed, "little")
    assert ours(split) == theirs(newest_libbpf, tmp_path_factory.mktemp("knot"), split)


@pytest.mark.parametrize("seed", range(20))
def test_the_byte_order_changes_nothing_else(seed: int) -> None:
    little, big = tangled(seed, "little"), tangled(seed, "big")
    try:
        expected = deduplicate(little)
    except BtfError:
        with pytest.raises(BtfError):
            deduplicate(big)
        return
    made = deduplicate(big)
    assert made.byte_order == "big"
    assert list(dump_raw(made)) == list(dump_raw(expected))


def kernel() -> BtfBuilder:
    """The base of the small cases."""
    b = BtfBuilder()
    b.add_int("int", 4, encoding=1)  # 1
    b.add_composite(Kind.STRUCT, "list", 8, [("next", 3, 0)])  # 2
    b.add_ref(Kind.PTR, 2)  # 3
    b.add_fwd("hidden")  # 4
    b.add_ref(Kind.PTR, 4)  # 5
    b.add_composite(Kind.STRUCT, "user", 8, [("it", 5, 0)])  # 6
    b.add_ref(Kind.TYPEDEF, 1, "number")  # 7
    b.add_func_proto(7, [("n", 7)])  # 8
    b.add_func("double", 8, linkage=0)  # 9
    return b


def raw(btf: Btf) -> list[str]:
    return "".join(dump_raw(btf)).splitlines()


def test_a_copy_of_a_type_of_the_base_disappears() -> None:
    s = BtfBuilder(kernel().build())
    own_int = s.add_int("int", 4, encoding=1)
    own_list = s.add_composite(Kind.STRUCT, "list", 8, [("next", s.next_id + 1, 0)])
    s.add_ref(Kind.PTR, own_list)
    s.add_composite(Kind.STRUCT, "mine", 16, [("all", own_list, 0), ("nr", own_int, 64)])

    assert raw(deduplicate(s.build())) == [
        "[10] STRUCT 'mine' size=16 vlen=2",
        "\t'all' type_id=2 bits_offset=0",
        "\t'nr' type_id=1 bits_offset=64",
    ]


def test_a_function_of_the_base_disappears_with_its_prototype() -> None:
    s = BtfBuilder(kernel().build())
    number = s.add_ref(Kind.TYPEDEF, 1, "number")
    s.add_func("double", s.add_func_proto(number, [("n", number)]), linkage=0)
    s.add_func("triple", s.add_func_proto(number, [("n", number)]), linkage=0)

    assert raw(deduplicate(s.build())) == ["[10] FUNC 'triple' type_id=8 linkage=static"]


def test_what_the_split_defines_and_the_base_only_declares_stays() -> None:
    s = BtfBuilder(kernel().build())
    hidden = s.add_composite(Kind.STRUCT, "hidden", 4, [("n", 1, 0)])
    s.add_composite(Kind.STRUCT, "user", 8, [("it", s.next_id + 1, 0)])
    s.add_ref(Kind.PTR, hidden)

    assert raw(deduplicate(s.build())) == [
        "[10] STRUCT 'hidden' size=4 vlen=1",
        "\t'n' type_id=1 bits_offset=0",
        "[11] STRUCT 'user' size=8 vlen=1",
        "\t'it' type_id=12 bits_offset=0",
        "[12] PTR '(anon)' type_id=10",
    ]


def test_what_the_split_only_declares_is_the_one_of_its_name() -> None:
    s = BtfBuilder(kernel().build())
    s.add_ref(Kind.PTR, s.add_fwd("list"))
    s.add_ref(Kind.TYPEDEF, s.next_id - 1, "handle")

    assert raw(deduplicate(s.build())) == ["[10] TYPEDEF 'handle' type_id=3"]


def test_pointers_to_equal_types_become_one_in_the_order_of_their_first_use() -> None:
    s = BtfBuilder(kernel().build())
    s.add_composite(Kind.STRUCT, "mine", 16, [("a", 12, 0), ("b", 13, 64)])
    s.add_ref(Kind.CONST, 12)
    s.add_ref(Kind.PTR, 10)
    s.add_ref(Kind.PTR, 10)

    assert raw(deduplicate(s.build())) == [
        "[10] STRUCT 'mine' size=16 vlen=2",
        "\t'a' type_id=12 bits_offset=0",
        "\t'b' type_id=12 bits_offset=64",
        "[11] CONST '(anon)' type_id=12",
        "[12] PTR '(anon)' type_id=10",
    ]


def test_a_string_that_no_type_uses_goes_and_one_of_a_merged_type_stays() -> None:
    s = BtfBuilder(kernel().build())
    s.add_string("unused")
    s.add_ref(Kind.TYPEDEF, 1, "alias")
    s.add_ref(Kind.TYPEDEF, 1, "alias")
    s.add_int("int", 4, encoding=1)

    made = deduplicate(s.build())
    assert (len(made), made.index.strings()) == (1, b"alias\0")


def test_a_base_is_refused() -> None:
    with pytest.raises(BtfError, match="is not split BTF"):
        deduplicate(kernel().build())


def test_split_btf_on_split_btf_is_refused() -> None:
    s = BtfBuilder(kernel().build())
    s.add_ref(Kind.PTR, 1)
    with pytest.raises(BtfError, match="is split BTF where a base is needed"):
        deduplicate(BtfBuilder(s.build()).build())


def test_a_type_that_refers_to_itself_is_refused() -> None:
    s = BtfBuilder(kernel().build())
    s.add_ref(Kind.PTR, s.next_id)
    with pytest.raises(BtfError, match=r"type \[10\]: PTR refers to itself"):
        deduplicate(s.build())


def test_an_image_is_as_good_as_the_index_it_was_taken_from() -> None:
    for seed in range(20):
        split = tangled(seed)
        assert split.base is not None
        image = index_base(split.base).image()
        opened = _native.open_base_index(split.base.index, image)
        assert opened is not None
        assert opened.image() == image
        try:
            expected = deduplicate(split)
        except BtfError:
            continue
        split.base.lookup = opened
        assert deduplicate(split).to_bytes() == expected.to_bytes()


def test_no_damaged_image_is_opened() -> None:
    base = kernel().build()
    image = index_base(base).image()
    for at in range(len(image)):
        damaged = bytearray(image)
        damaged[at] ^= 0x40
        assert _native.open_base_index(base.index, damaged) is None, at
    for length in range(len(image)):
        assert _native.open_base_index(base.index, image[:length]) is None, length
    assert _native.open_base_index(base.index, image + bytes(8)) is None


def test_no_image_of_another_base_is_opened() -> None:
    other = kernel()
    other.add_int("long", 8)
    renamed = kernel().to_bytes().replace(b"double", b"treble")
    image = index_base(kernel().build()).image()

    assert _native.open_base_index(other.build().index, image) is None
    assert _native.open_base_index(Btf.parse(renamed).index, image) is None


def hostile_structs() -> BtfBuilder:
    """Structs of one shape that differ only at the end of all that they refer to."""
    s = BtfBuilder(kernel().build())
    for n in range(250):
        first = s.next_id
        for at in range(100):
            s.add_composite(Kind.STRUCT, "knot", 16, [("a", first + at + 1, 0), ("b", first, 64)])
        s.add_int("int", 4, bits=n % 32 + 1)
    return s


def hostile_depth() -> BtfBuilder:
    """Two pointers to equal structs a level, which are compared anew on every path."""
    s = BtfBuilder(kernel().build())
    for _ in range(60):
        first = s.next_id
        for at in range(40):
            members = [(f"m{n}", first + at + 1 + n % 2, 64 * n) for n in range(30)]
            s.add_composite(Kind.STRUCT, "level", 64 * 30, members)
        s.add_int("int", 4)
        s.add_int("int", 4)
    return s


def hostile_enums() -> BtfBuilder:
    s = BtfBuilder(kernel().build())
    for n in range(40_000):
        s.add_enum("", 4, [("A", n)])
    return s


def hostile_chain() -> BtfBuilder:
    s = BtfBuilder(kernel().build())
    for _ in range(80_000):
        s.add_ref(Kind.PTR, s.next_id + 1)
    s.add_int("int", 4, encoding=1)
    return s


def hostile_typedefs() -> BtfBuilder:
    """Typedefs in a ring, each on a chain of pointers."""
    s = BtfBuilder(kernel().build())
    for n in range(300):
        for _ in range(200):
            s.add_ref(Kind.PTR, s.next_id + 1)
        s.add_ref(Kind.TYPEDEF, 10 if n == 299 else s.next_id + 1, "ring")
    return s


@pytest.mark.parametrize(
    "make", [hostile_structs, hostile_depth, hostile_enums, hostile_chain, hostile_typedefs]
)
def test_a_hostile_file_takes_seconds_at_most(make: Callable[[], BtfBuilder]) -> None:
    split = make().build()
    assert len(split.to_bytes()) < 2_000_000
    start = time.process_time()
    try:
        deduplicate(split)
    except BtfError as error:
        assert "takes too many steps" in str(error)  # noqa: PT017 - it may well succeed
    assert time.process_time() - start < 5


def add_hub(b: BtfBuilder, parts: int, last: int) -> None:
    """A struct, and a chain of *parts* structs that it leads to and that all lead back to it."""
    hub, to_hub = b.next_id, b.next_id + 1
    b.add_composite(Kind.STRUCT, "hub", 16, [("first", to_hub + 2, 0), ("last", last, 64)])
    b.add_ref(Kind.PTR, hub)
    for n in range(parts):
        following = b.next_id + 2 if n + 1 < parts else to_hub
        b.add_composite(Kind.STRUCT, f"part{n}", 16, [("next", following, 0), ("hub", to_hub, 64)])
        b.add_ref(Kind.PTR, b.next_id - 1)


def test_structs_that_differ_from_the_base_behind_a_hub_are_told_apart_at_once() -> None:
    base = kernel()
    add_hub(base, 6000, last=1)
    s = BtfBuilder(base.build())
    add_hub(s, 6000, last=7)

    assert len(deduplicate(s.build())) == 2 + 2 * 6000


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        made = [theirs(Path(sys.argv[1]), Path(name), tangled(n, "little")) for n in range(CASES)]
    text = json.dumps([result and [part.hex() for part in result] for result in made])
    DATA.write_bytes(lzma.compress(text.encode(), preset=9))
