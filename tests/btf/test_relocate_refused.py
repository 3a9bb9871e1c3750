# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Relocating: what is refused, how long it takes at worst, and what the author reads."""

from __future__ import annotations

import pickle

import pytest

from btf.relocations import CASES, base_of
from kbtf import BtfBuilder, BtfError, Kind, RelocationError, relocate

# What is refused before any type is looked at


def test_base_btf_cannot_be_relocated() -> None:
    with pytest.raises(BtfError, match="only split BTF"):
        relocate(base_of("INT int 4"), base_of("INT int 4"))


def test_split_btf_on_the_target_already_is_refused() -> None:
    split, _ = CASES["other kinds, other order"].inputs("little")
    assert split.base is not None
    with pytest.raises(BtfError, match="already has that base"):
        relocate(split, split.base)


def test_split_btf_is_no_target() -> None:
    split, target = CASES["other kinds, other order"].inputs("little")
    with pytest.raises(BtfError, match="cannot be split BTF"):
        relocate(split, BtfBuilder(target).build())


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ("PTR foo 0", "it has PTR"),
        ("TYPEDEF foo 0", "it has TYPEDEF"),
        ("ENUM64 foo 8", "it has ENUM64"),
        ("CONST foo 0", "it has CONST"),
    ],
)
def test_a_base_that_is_not_distilled_is_refused(bad: str, what: str) -> None:
    s = BtfBuilder(base_of(f"INT int 4, {bad}"))

    with pytest.raises(BtfError, match=what) as raised:
        relocate(s.build(), base_of("INT int 4"))

    assert raised.value.where == "type [2]"
    assert not isinstance(raised.value, RelocationError)


def test_a_nameless_type_in_a_distilled_base_is_refused() -> None:
    b = BtfBuilder()
    b.add_composite(Kind.STRUCT, "", 8)

    with pytest.raises(BtfError, match="nameless STRUCT"):
        relocate(BtfBuilder(b.build()).build(), base_of("INT int 4"))


def test_members_that_end_nowhere_do_not_stop_it() -> None:
    base = base_of("STRUCT foo 8")
    s = BtfBuilder(base)
    s.add_ref(Kind.CONST, s.next_id + 1)
    s.add_ref(Kind.TYPEDEF, s.next_id - 1, "loop")
    s.add_composite(Kind.STRUCT, "own", 8, [("a", base.end_id, 0), ("b", 1, 0)])

    with pytest.raises(RelocationError, match="embedded by value in 'own'"):
        relocate(s.build(), base_of("STRUCT foo 4"))


def test_100000_members_of_one_deep_type_take_no_time() -> None:
    s = BtfBuilder(base_of("STRUCT foo 8"))
    last = 1
    for _ in range(65_000):
        last = s.add_ref(Kind.CONST, last)
    s.add_composite(Kind.STRUCT, "own", 8, [("m", last, 0)] * 100_000)

    assert len(relocate(s.build(), base_of("INT int 4, STRUCT foo 8"))) == 65_001


# What the author of a module reads


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (
            "embedded, resized",
            "type [1] 'foo': the module needs STRUCT of 8 bytes, embedded by value in 'holder', "
            "the target has [1] STRUCT of 16 bytes; build the module for that kernel",
        ),
        (
            "embedded deeply, resized",
            "type [1] 'foo': the module needs STRUCT of 8 bytes, embedded by value in a nameless "
            "UNION, the target has [1] STRUCT of 16 bytes; build the module for that kernel",
        ),
        (
            "no such name",
            "type [1] 'foo': the module needs STRUCT of 8 bytes, the target has no type of that "
            "name; build the module for that kernel",
        ),
        (
            "resized, there twice",
            "type [1] 'foo': the module needs STRUCT of 8 bytes, the target has several of that "
            "name and none that fits: [1] STRUCT of 16 bytes and [2] STRUCT of 4 bytes; build the "
            "module for that kernel",
        ),
        (
            "FWD, FWD and struct",
            "type [1] 'foo': the module needs FWD of a struct, the target has two that fit: [1] "
            "FWD of a struct and [2] STRUCT of 8 bytes; the kernel cannot tell which is meant, use "
            "split BTF that is not distilled",
        ),
        (
            "int, other sign",
            "type [1] 'foo': the module needs INT of 4 bytes, the target has [1] INT of 4 bytes "
            "of another encoding; build the module for that kernel",
        ),
        (
            "FWD union, union",
            "type [1] 'foo': the module needs FWD of a union, the target has [1] UNION of 8 bytes; "
            "the kernel does not match these, use split BTF that is not distilled",
        ),
    ],
)
def test_the_message_names_the_type_and_what_the_target_has_instead(case: str, text: str) -> None:
    with pytest.raises(RelocationError) as raised:
        relocate(*CASES[case].inputs("little"))
    assert str(raised.value) == text


def test_an_error_survives_the_way_between_processes() -> None:
    with pytest.raises(RelocationError) as raised:
        relocate(*CASES["enum, resized"].inputs("little"))
    copy = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 - made here
    assert (str(copy), vars(copy)) == (str(raised.value), vars(raised.value))
