# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Dumps of types that nobody would write: long chains, deep nesting, rings, no sense at all."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from kbtf import Btf, BtfBuilder, BtfError, Kind
from kbtf.btf.dump.c.header import dump_c
from kbtf.btf.dump.json import dump_json
from kbtf.btf.dump.raw import dump_raw
from kbtf.btf.kinds import KINDS, SIZED

if TYPE_CHECKING:
    from collections.abc import Callable


def c_builder() -> BtfBuilder:
    """Ids 1 int, 2 char, 3 long."""
    b = BtfBuilder()
    b.add_int("int", 4, encoding=1)
    b.add_int("char", 1, encoding=1)
    b.add_int("long int", 8, encoding=1)
    return b


def chain(kind: Kind, length: int) -> Btf:
    b = c_builder()
    last = 1
    for at in range(length):
        if kind is Kind.STRUCT:
            last = b.add_composite(kind, f"s{at}", 4, [("a", last, 0)])
        elif kind is Kind.ARRAY:
            last = b.add_array(last, 1, 1)
        else:
            last = b.add_ref(kind, last, f"t{at}" if kind is Kind.TYPEDEF else "")
    b.add_ref(Kind.TYPEDEF, last, "last")
    b.add_composite(Kind.STRUCT, "user", 8, [("m", last, 0)])
    return b.build()


LONG_CHAINS = {
    Kind.TYPEDEF: 100_000, Kind.STRUCT: 100_000, Kind.PTR: 100_000, Kind.CONST: 10_000,
    Kind.TYPE_TAG: 10_000, Kind.ARRAY: 10_000,
}  # fmt: skip


@pytest.mark.parametrize("kind", LONG_CHAINS)
def test_a_chain_of_types_may_be_as_long_as_it_likes(kind: Kind) -> None:
    assert "\nstruct user {\n" in dump_c(chain(kind, LONG_CHAINS[kind]))


def test_types_nested_deeper_than_anyone_writes_are_refused() -> None:
    nested: list[Callable[[BtfBuilder, int], int]] = [
        lambda b, inner: b.add_composite(Kind.STRUCT, "", 4, [("a", inner, 0)]),
        lambda b, inner: b.add_func_proto(0, [("", inner)]),
    ]
    for add in nested:
        b = c_builder()
        last = 1
        for _ in range(10_000):
            last = add(b, last)
        b.add_ref(Kind.TYPEDEF, last, "deep")

        with pytest.raises(BtfError, match="nested too deeply"):
            dump_c(b.build())


def test_types_whose_c_would_not_end_are_refused() -> None:
    b = c_builder()
    last = 1
    for _ in range(60):
        last = b.add_composite(Kind.UNION, "", 4, [("a", last, 0), ("b", last, 0)])
    b.add_ref(Kind.TYPEDEF, last, "bomb")

    with pytest.raises(BtfError, match="too often"):
        dump_c(b.build())


def ring(*kinds: Kind) -> Btf:
    """Types of which each refers to the next, and the last to the first."""
    b = c_builder()
    first = b.next_id
    for at, kind in enumerate(kinds):
        after = first + (at + 1) % len(kinds)
        if kind in (Kind.STRUCT, Kind.UNION):
            b.add_composite(kind, "named" if kind is Kind.UNION else "", 8, [("a", after, 0)])
        elif kind is Kind.ARRAY:
            b.add_array(after, 1, 1)
        elif kind is Kind.FUNC_PROTO:
            b.add_func_proto(0, [("", after)])
        else:
            b.add_ref(kind, after, "t" if kind is Kind.TYPEDEF else "")
    b.add_ref(Kind.TYPEDEF, first, "user")
    return b.build()


RINGS = (
    (Kind.TYPEDEF,),
    (Kind.PTR,),
    (Kind.CONST, Kind.VOLATILE),
    (Kind.UNION,),
    (Kind.UNION, Kind.ARRAY),
    (Kind.UNION, Kind.PTR, Kind.ARRAY),
    (Kind.STRUCT, Kind.PTR),
    (Kind.TYPEDEF, Kind.STRUCT, Kind.PTR),
    (Kind.FUNC_PROTO, Kind.PTR),
)


@pytest.mark.parametrize("kinds", RINGS, ids=lambda kinds: "-".join(kind.name for kind in kinds))
def test_a_ring_that_c_cannot_say_is_refused(kinds: tuple[Kind, ...]) -> None:
    with pytest.raises(BtfError, match="contains itself"):
        dump_c(ring(*kinds))


def test_what_c_has_no_declaration_for_is_refused() -> None:
    b = c_builder()
    b.add_ref(Kind.TYPEDEF, b.add_func_proto(b.add_func_proto(1)), "f")
    with pytest.raises(BtfError, match="an array or function of these"):
        dump_c(b.build())
    b = c_builder()
    b.add_ref(Kind.TYPEDEF, b.add_func_proto(1, [("a", 0), ("b", 1)]), "f")
    with pytest.raises(BtfError, match="a parameter of type void"):
        dump_c(b.build())


def test_a_function_as_a_member_is_refused() -> None:
    b = c_builder()
    func = b.add_func("f", b.add_func_proto(0))
    b.add_composite(Kind.STRUCT, "s", 8, [("f", func, 0)])

    with pytest.raises(BtfError, match="FUNC stands where a type should"):
        dump_c(b.build())


def test_a_size_that_no_members_fill_takes_no_space_here() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "s", 0xFFFFFFFF, [("a", 2, 0), ("b", 2, 0xFFFFFF, 1)])

    assert len(dump_c(b.build())) < 2000


NAMES = ("", "a", "a", "int", "no name", "__builtin_va_list", "bpf_kfunc", "\udcff")


def random_btf(seed: int) -> Btf:
    """Types of all kinds that refer to each other without sense."""
    chosen = random.Random(seed)  # noqa: S311 - no secret
    b = BtfBuilder()
    count = chosen.randrange(1, 30)

    def number() -> int:
        return chosen.choice((0, 1, 3, 4, 8, 31, 32, 64, 0xFFFFFF, 0xFFFFFFFF))

    def ref() -> int:
        return chosen.randrange(count + 1)

    def name() -> str:
        return chosen.choice(NAMES)

    def string() -> int:
        return b.add_string(name())

    for _ in range(count):
        kind = chosen.choice([kind for kind in Kind if kind])
        row = KINDS[kind]
        vlen = chosen.randrange(4) if row.items < 0 else 0
        item = [number] * row.item_words
        if row.id_word is not None:
            for at in range(row.nr_ids):
                item[row.id_word + at] = ref
        if row.name_word is not None:
            item[row.name_word] = string
        words = [make() for make in item * (vlen if row.items < 0 else row.items)]
        words += [number() for _ in range(row.tail_words)]
        b.add(
            kind,
            name(),
            vlen=vlen,
            kind_flag=chosen.random() < 0.3,
            size_or_type=number() if kind in SIZED else ref(),
            words=words,
        )
    return b.build()


def test_types_without_sense_are_written_or_refused() -> None:
    written = 0
    for seed in range(2000):
        btf = random_btf(seed)
        assert len(list(dump_raw(btf))) == len(btf)
        assert len(json.loads("".join(dump_json(btf)))["types"]) == len(btf)
        try:
            written += bool(dump_c(btf))
        except BtfError:
            pass  # a sentence about one of them
    assert 200 < written < 1800
