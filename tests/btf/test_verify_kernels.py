# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Verifying: what each kernel knows, headers and parts, and real kernels and modules."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from btf.verifying import NOW, SEVEN, builder
from kbtf import Btf, BtfBuilder, Kind, Severity, distill, verify
from kbtf.btf.rules import OLDEST, rules_of, version_shown
from kbtf.testing import make_base

if TYPE_CHECKING:
    from pathlib import Path


def blob(
    b: BtfBuilder, *, header_len: int = 24, gap: int = 0, tail: int = 0, extra: int = 0
) -> Btf:
    data = b.to_bytes()
    type_len, str_off, str_len = struct.unpack_from("<3I", data, 12)
    types, strings = data[24 : 24 + type_len], data[24 + str_off :]
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, header_len, 0, type_len, type_len + gap, str_len)
    more = (header_len - 24) // 4
    head += struct.pack(f"<{more}I", *[0] * (more - 1), extra) if more else b""
    return Btf.parse(head + types + bytes(gap) + strings + bytes(tail))


def test_gaps_tails_and_unknown_header_fields_are_refused() -> None:
    assert verify(blob(builder()), NOW) == []
    gap = verify(blob(builder(), gap=4), NOW)
    assert [v.text for v in gap] == ["gap of 4 bytes before the strings"]
    assert [v.text for v in verify(blob(builder(), tail=1), NOW)] == ["bytes after the strings"]


# As crafted modules were taken by 6.12, 7.2 and 7.3.
HEADERS = {
    "28 bytes, zero": (28, 0, True, True),
    "28 bytes": (28, 1, False, True),
    "32 bytes, zero": (32, 0, True, True),
    "40 bytes, zero": (40, 0, True, True),
    "40 bytes": (40, 1, False, False),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_longer_header_is_taken_as_far_as_a_kernel_knows_it(case: str) -> None:
    header_len, last_word, by_old, by_new = HEADERS[case]
    btf = blob(builder(), header_len=header_len, extra=last_word)

    assert (verify(btf, NOW) == []) == by_old
    assert (verify(btf, SEVEN) == []) == by_new


@pytest.mark.parametrize("order", [("strings", "types", "layout"), ("layout", "types", "strings")])
def test_parts_are_in_any_order_since_7_1(order: tuple[str, ...]) -> None:
    data = builder().to_bytes()
    type_len, str_off, _ = struct.unpack_from("<3I", data, 12)
    parts = {
        "types": data[24 : 24 + type_len],
        "strings": data[24 + str_off :].ljust(8, b"\0"),
        "layout": bytes(4),
    }
    places = {}
    body = b""
    for name in order:
        places[name] = (len(body), len(parts[name]))
        body += parts[name]
    words = [*places["types"], *places["strings"], *places["layout"]]
    btf = Btf.parse(struct.pack("<HBB7I", 0xEB9F, 1, 0, 32, *words) + body)

    assert btf[1].name == "int"
    assert verify(btf, SEVEN) == []
    assert verify(btf, NOW) != []


def test_a_distilled_base_holds_only_what_is_found_by_name() -> None:
    b = builder()
    b.add_ref(Kind.PTR, 1)
    b.add_composite(Kind.STRUCT, "", 8)

    found = [v.text for v in verify(b.build(), NOW, distilled=True)]

    assert found == ["PTR in a distilled base", "STRUCT without a name"]


def test_rules_follow_the_kernels_own_btf() -> None:
    b = make_base()
    assert rules_of(b.build()) == OLDEST

    b.add_composite(Kind.STRUCT, "btf_enum64", 12)
    array = b.add_array(1, 1, 512)
    b.add_composite(Kind.STRUCT, "kallsym_iter", 512, [("name", array, 0)])
    assert rules_of(b.build()) == NOW
    assert rules_of(b.build(), "6.14.9-x").flag_on_tags is False
    assert rules_of(b.build(), "6.15-rc1").flag_on_tags is True

    assert version_shown(b.build()) == "6.1"


def test_signs_count_more_than_the_release() -> None:
    b = make_base()
    b.add_composite(Kind.STRUCT, "btf_header", 32, [("str_len", 1, 160), ("layout_off", 1, 192)])
    assert rules_of(b.build(), "6.12.1-backports").layout_header
    assert rules_of(b.build(), "6.12.1-backports").tags_first

    b = make_base()
    b.add_composite(Kind.STRUCT, "btf_header", 24, [("str_len", 1, 160)])
    b.add_func("btf_check_type_tags", b.add_func_proto(1))
    assert not rules_of(b.build(), "7.9.0").layout_header
    assert rules_of(b.build(), "7.9.0").tags_first
    assert rules_of(b.build(), "7.9.0").flag_on_tags


def test_the_newest_sign_stands_for_an_unknown_release() -> None:
    b = make_base()
    b.add_func("btf_check_modifier_chain_length", b.add_func_proto(1))
    base = b.build()

    assert version_shown(base) == "7.2"
    assert rules_of(base) == rules_of(base, "7.2.0") == SEVEN


def test_real_kernels_and_modules_have_nothing_that_is_refused(
    corpus: Path, corpus_base: Btf
) -> None:
    rules = rules_of(corpus_base)
    assert rules == NOW
    assert [v for v in verify(corpus_base, rules) if v.severity is Severity.ERROR] == []
    for path in sorted((corpus / "split").glob("*.btf")):
        split = Btf.parse(path.read_bytes(), corpus_base)
        assert verify(split, rules) == []
        distilled = distill(split)
        if len(distilled.base):
            assert verify(distilled.base, rules, distilled=True) == []
        assert verify(distilled.split, rules) == []
