# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernel's checks of BTF, kind by kind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from btf.verifying import NOW, builder, texts
from conftest import missing
from kbtf import Btf, BtfBuilder, Kind, Severity, verify
from kbtf.btf.rules import OLDEST

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED: dict[str, tuple[Callable[[BtfBuilder], object], str]] = {
    "int with vlen": (
        lambda b: b.add(Kind.INT, "x", vlen=1, size_or_type=4, words=(32,)),
        "INT has vlen 1",
    ),
    "int with kind_flag": (
        lambda b: b.add(Kind.INT, "x", kind_flag=True, size_or_type=4, words=(32,)),
        "INT has kind_flag set",
    ),
    "int of more than 128 bits": (
        lambda b: b.add(Kind.INT, "x", size_or_type=32, words=(200,)),
        "more than 128 bits",
    ),
    "int with more bits than bytes": (
        lambda b: b.add_int("x", 4, bits=33),
        "33 bits in 4 bytes",
    ),
    "int with two encodings": (lambda b: b.add_int("x", 4, encoding=3), "more than one encoding"),
    "int with unknown bits": (
        lambda b: b.add(Kind.INT, "x", size_or_type=4, words=(1 << 28 | 32,)),
        "unknown bits",
    ),
    "int with an encoding of its own": (
        lambda b: b.add_int("x", 4, encoding=8),
        "unknown encoding (0x8)",
    ),
    "fwd with a name of Latin-1": (lambda b: b.add_fwd("\udce4b"), "FWD has no valid name"),
    "named pointer": (lambda b: b.add_ref(Kind.PTR, 1, "x"), "PTR has a name ('x')"),
    "typedef without name": (lambda b: b.add_ref(Kind.TYPEDEF, 1), "no valid name"),
    "type tag without name": (lambda b: b.add_ref(Kind.TYPE_TAG, 1), "TYPE_TAG has no name"),
    "type tag with kind_flag": (
        lambda b: b.add(Kind.TYPE_TAG, "x", kind_flag=True, size_or_type=1),
        "kind_flag",
    ),
    "const with kind_flag": (
        lambda b: b.add(Kind.CONST, kind_flag=True, size_or_type=1),
        "CONST has kind_flag set",
    ),
    "fwd without name": (lambda b: b.add_fwd(""), "FWD has no valid name"),
    "fwd with an odd name": (lambda b: b.add_fwd("a b"), "FWD has no valid name"),
    "fwd with vlen": (lambda b: b.add(Kind.FWD, "x", vlen=1), "FWD has vlen 1"),
    "fwd with a name of 513 bytes": (lambda b: b.add_fwd("x" * 513), "FWD has no valid name"),
    "const with vlen": (lambda b: b.add(Kind.CONST, vlen=1, size_or_type=1), "CONST has vlen 1"),
    "fwd that refers": (lambda b: b.add(Kind.FWD, "x", size_or_type=1), "refers to a type"),
    "named array": (lambda b: b.add(Kind.ARRAY, "x", words=(1, 1, 1)), "ARRAY has a name"),
    "array with a size": (
        lambda b: b.add(Kind.ARRAY, size_or_type=4, words=(1, 1, 1)),
        "ARRAY has a size",
    ),
    "array of void": (lambda b: b.add_array(0, 1, 1), "of type void"),
    "array with an index of void": (lambda b: b.add_array(1, 0, 1), "of type void"),
    "struct with an odd name": (lambda b: b.add_composite(Kind.STRUCT, "a b", 4), "invalid name"),
    "struct name that starts with a digit": (
        lambda b: b.add_composite(Kind.STRUCT, "9lives", 4),
        "invalid name",
    ),
    "member with an odd name": (
        lambda b: b.add_composite(Kind.STRUCT, "s", 4, [("a-b", 1, 0)]),
        "invalid name for member 0",
    ),
    "member of void": (
        lambda b: b.add_composite(Kind.STRUCT, "s", 4, [("a", 0, 0)]),
        "member 'a' of type void",
    ),
    "union member with an offset": (
        lambda b: b.add_composite(Kind.UNION, "u", 8, [("a", 1, 32)]),
        "member 'a' at bit 32",
    ),
    "members out of order": (
        lambda b: b.add_composite(Kind.STRUCT, "s", 8, [("a", 1, 32), ("b", 1, 0)]),
        "member 'b' out of order",
    ),
    "member behind the end": (
        lambda b: b.add_composite(Kind.STRUCT, "s", 4, [("a", 1, 40)]),
        "member 'a' past the end of the struct",
    ),
    "enum of three bytes": (lambda b: b.add_enum("e", 3), "ENUM has 3 bytes"),
    "enum of 16 bytes": (lambda b: b.add_enum("e", 16), "ENUM has 16 bytes"),
    "value without name": (lambda b: b.add_enum("e", 4, [("", 1)]), "invalid name for value 0"),
    "value with an odd name": (
        lambda b: b.add_enum("e", 4, [("a b", 1)]),
        "invalid name for value 0",
    ),
    "enum64 of no bytes": (lambda b: b.add_enum64("e", 0), "ENUM64 has 0 bytes"),
    "named prototype": (lambda b: b.add(Kind.FUNC_PROTO, "x"), "FUNC_PROTO has a name"),
    "func without name": (lambda b: b.add_func("", b.add_func_proto(0)), "FUNC has no valid name"),
    "extern func": (lambda b: b.add_func("f", b.add_func_proto(0), 2), "linkage 2"),
    "var of void": (lambda b: b.add_var("v", 0), "VAR is of type void"),
    "extern var": (lambda b: b.add_var("v", 1, 2), "linkage 2"),
    "datasec without size": (lambda b: b.add_datasec(".data", 0, []), "has no size"),
    "datasec without name": (lambda b: b.add_datasec("", 4, []), "no valid name"),
    "datasec with a name of 513 bytes": (
        lambda b: b.add_datasec("x" * 513, 4, []),
        "no valid name",
    ),
    "datasec with a line break in its name": (
        lambda b: b.add_datasec(".da\nta", 4, []),
        "no valid name",
    ),
    "datasec entry behind the end": (
        lambda b: b.add_datasec(".data", 4, [(1, 4, 4)]),
        "entry 0 at a wrong offset",
    ),
    "datasec entry of no bytes": (
        lambda b: b.add_datasec(".data", 4, [(1, 0, 0)]),
        "entry 0 of a wrong size",
    ),
    "datasec entries out of order": (
        lambda b: b.add_datasec(".data", 8, [(1, 4, 4), (1, 0, 4)]),
        "entry 1 at a wrong offset",
    ),
    "datasec entry past the end": (
        lambda b: b.add_datasec(".data", 4, [(1, 0, 8)]),
        "entry 0 of a wrong size",
    ),
    "datasec entry of void": (
        lambda b: b.add_datasec(".data", 4, [(0, 0, 4)]),
        "entry 0 of type void",
    ),
    "float of three bytes": (lambda b: b.add_float("f", 3), "FLOAT has 3 bytes"),
    "decl tag without name": (lambda b: b.add_decl_tag("", 1), "DECL_TAG has no name"),
    "decl tag with vlen": (
        lambda b: b.add(Kind.DECL_TAG, "t", vlen=1, size_or_type=1, words=(0,)),
        "DECL_TAG has vlen 1",
    ),
    "decl tag on component -2": (lambda b: b.add_decl_tag("t", 1, -2), "component_idx -2"),
    "new bits in info": (
        lambda b: b.add_enum("e", 4, [(f"V{n}", n) for n in range(70_000)]),
        "bits in its info",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_kernel_refuses_is_found(case: str) -> None:
    add, words = REFUSED[case]
    b = builder()
    add(b)
    assert any(words in text for text in texts(b)), texts(b)


ACCEPTED: dict[str, Callable[[BtfBuilder], object]] = {
    "fwd union": lambda b: b.add_fwd("u", union=True),
    "anonymous struct": lambda b: b.add_composite(Kind.STRUCT, "", 4, [("", 1, 0)]),
    "empty last member": lambda b: b.add_composite(
        Kind.STRUCT, "s", 4, [("a", 1, 0), ("z", b.add_array(1, 1, 0), 32)]
    ),
    "signed enum": lambda b: b.add_enum("", 4, [("A", -1)], signed=True),
    "section name": lambda b: b.add_datasec(".data..percpu", 4, [(1, 0, 4)]),
    "section name in UTF-8": lambda b: b.add_datasec(".dätä", 4, [(1, 0, 4)]),
    "name with dots": lambda b: b.add_func("f.cold", b.add_func_proto(0)),
    "vararg": lambda b: b.add_func_proto(1, [("a", 1), ("", 0)]),
    "bitfields": lambda b: b.add_composite(Kind.STRUCT, "s", 4, [("a", 1, 0, 3), ("b", 1, 3, 1)]),
    "decl tag on a whole": lambda b: b.add_decl_tag("t", 1),
    "name of 511 bytes": lambda b: b.add_fwd("x" * 511),
    "float of 2 bytes": lambda b: b.add_float("f", 2),
    "float of 12 bytes": lambda b: b.add_float("f", 12),
    "float of 16 bytes": lambda b: b.add_float("f", 16),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_the_kernel_takes_is_not_found(case: str) -> None:
    b = builder()
    ACCEPTED[case](b)
    assert texts(b) == []


def chain(length: int, kind: Kind = Kind.CONST) -> BtfBuilder:
    b = builder()
    for _ in range(length):
        b.add_ref(kind, b.next_id - 1)
    return b


def test_a_chain_of_32_modifiers_is_taken_and_one_of_33_is_not() -> None:
    b = builder()
    for at in range(32):
        b.add_ref(Kind.CONST, 3 + at)
    b.add_ref(Kind.PTR, 1)
    assert texts(b) == []

    b = builder()
    for at in range(33):
        b.add_ref(Kind.CONST, 3 + at)
    b.add_ref(Kind.PTR, 1)
    assert any("more than 32" in text for text in texts(b))


def test_a_chain_ends_where_one_that_was_walked_before_begins() -> None:
    assert texts(chain(200)) == []


def test_a_cycle_of_modifiers_is_refused() -> None:
    b = builder()
    b.add_ref(Kind.CONST, 3)
    b.add_ref(Kind.VOLATILE, 2)
    assert any("cycle" in text for text in texts(b))


def test_a_kind_that_a_kernel_does_not_know_is_refused() -> None:
    b = builder()
    b.add_enum64("e", 8)
    assert texts(b) == []
    assert any("is of a kind" in text for text in texts(b, OLDEST._replace(max_kind=Kind.TYPE_TAG)))


def test_tags_may_have_kind_flag_where_the_kernel_knows_attributes() -> None:
    b = builder()
    b.add(Kind.TYPE_TAG, "x", kind_flag=True, size_or_type=1)
    b.add(Kind.DECL_TAG, "x", kind_flag=True, size_or_type=1, words=(0,))
    assert len(texts(b)) == 2
    assert texts(b, NOW._replace(flag_on_tags=True)) == []


def test_a_section_whose_name_is_empty_is_refused() -> None:
    b = builder()
    b.add_datasec(".data", 4, [])
    data = b.to_bytes()
    name = data.index(b".data\0")
    empty = Btf.parse(data[:name] + bytes(5) + data[name + 5 :])
    assert any("no valid name" in v.text for v in verify(empty, NOW))


def test_a_type_tag_behind_another_modifier_is_refused() -> None:
    b = builder()
    b.add_ref(Kind.CONST, b.add_ref(Kind.TYPE_TAG, 1, "user"))
    assert any("TYPE_TAG follows" in text for text in texts(b))
    assert texts(b, NOW._replace(tags_first=False)) == []

    b = builder()
    b.add_ref(Kind.TYPE_TAG, b.add_ref(Kind.CONST, 1), "user")
    assert texts(b) == []


def test_the_rules_for_tags_hold_for_a_type_of_the_base_that_ends_a_walk() -> None:
    """btf_check_type_tags() looks at the type before it ends the walk there."""
    base = builder()
    tag = base.add_ref(Kind.TYPE_TAG, 1, "user")
    s = BtfBuilder(base.build())
    s.add_ref(Kind.CONST, tag)
    assert any("TYPE_TAG follows" in text for text in texts(s))
    assert texts(s, NOW._replace(tags_first=False)) == []

    s = BtfBuilder(base.build())
    s.add_ref(Kind.TYPE_TAG, tag, "user")
    assert texts(s) == []


def test_a_chain_of_32_modifiers_does_not_go_on_in_the_base() -> None:
    base = builder()
    first = base.add_ref(Kind.CONST, 1)
    s = BtfBuilder(base.build())
    for _ in range(31):
        s.add_ref(Kind.CONST, s.next_id + 1)
    s.add_ref(Kind.CONST, first)
    assert any("more than 32" in text for text in texts(s))

    s = BtfBuilder(base.build())
    for _ in range(30):
        s.add_ref(Kind.CONST, s.next_id + 1)
    s.add_ref(Kind.CONST, first)
    assert texts(s) == []


def test_bits_of_an_int_that_the_kernel_ignores_are_a_warning() -> None:
    b = BtfBuilder(byte_order="little")
    b.add(Kind.INT, "x", size_or_type=4, words=(1 << 8 | 32,))

    (violation,) = verify(b.build(), NOW)

    assert violation.severity is Severity.WARNING
    assert "bits that mean nothing (0x120)" in violation.text


def test_names_are_judged_alike_in_a_locale_of_latin_1(tmp_path: Path) -> None:
    localedef = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / "latin1")]
    if not Path("/usr/share/i18n/charmaps/ISO-8859-1.gz").exists():
        missing("locales")
    subprocess.run(localedef, check=True)
    b = builder()
    b.add_fwd("\udce4b")
    code = (
        "import locale, sys; from kbtf import Btf, verify;"
        "locale.setlocale(locale.LC_ALL, sys.argv[1]);"
        "print(*[v.text for v in verify(Btf.parse(sys.stdin.buffer.read()))], sep=chr(10))"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "latin1"],
        input=b.to_bytes(),
        env={**os.environ, "LOCPATH": str(tmp_path)},
        capture_output=True,
        check=True,
    )

    assert done.stdout == b"FWD has no valid name\n"


def test_what_the_kernel_takes_on_trust_is_told_apart() -> None:
    b = builder()
    b.add_func("f", 1)

    (violation,) = verify(b.build(), NOW)

    assert violation.severity is Severity.WARNING
    assert "not a FUNC_PROTO" in violation.text

    b = builder()
    b.add_func("f", 0)
    b.add_func_proto(1, [("x", 0), ("y", 1)])

    found = verify(b.build(), NOW)

    assert [v.severity for v in found] == [Severity.WARNING] * 2
    assert "type [0], which is not a FUNC_PROTO" in found[0].text
    assert "parameter 0 of type void" in found[1].text
