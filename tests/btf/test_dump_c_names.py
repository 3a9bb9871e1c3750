# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""C: names that C does not allow, that come twice or that another header has."""

from __future__ import annotations

import re

import pytest

from btf.c_types import body, c_builder
from kbtf import BtfBuilder, Kind
from kbtf.btf.dump.c.header import Contents


def test_the_second_of_a_name_gets_a_suffix() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "s", 4, [("a", 1, 0)])
    b.add_composite(Kind.UNION, "s", 8, [("b", 3, 0)])
    b.add_enum("s", 4, [("A", 0), ("B", 1)])
    b.add_ref(Kind.TYPEDEF, 5, "A")
    b.add_enum("other", 4, [("B", 7), ("s", 8)])

    text = body(b.build())

    assert re.findall(r"^(?:struct|union|enum) \w+", text, re.MULTILINE) == [
        "struct s", "union s___2", "enum s___3", "enum other"
    ]  # fmt: skip
    assert "typedef union s___2 A;" in text
    assert "\tA___2 = 0,\n\tB = 1,\n" in text
    assert "\tB___2 = 7,\n\ts = 8,\n" in text


def test_a_suffix_does_not_meet_a_name_that_has_it_already() -> None:
    b = c_builder()
    for name in ("s", "s___2", "s"):
        b.add_composite(Kind.STRUCT, name, 0)

    assert body(b.build()) == "struct s {};\n\nstruct s___2 {};\n\nstruct s___3 {};"


def test_a_forward_declaration_is_of_the_struct_of_that_name() -> None:
    b = c_builder()
    b.add_fwd("s")
    b.add_ref(Kind.TYPEDEF, 4, "t")
    b.add_composite(Kind.UNION, "s", 4, [("a", 1, 0)])
    b.add_composite(Kind.STRUCT, "s", 4, [("a", 1, 0)])

    assert body(b.build()) == (
        "struct s___2;\n\ntypedef struct s___2 t;\n\nunion s {\n\tint a;\n};\n\n"
        "struct s___2 {\n\tint a;\n};"
    )


def test_types_of_the_base_have_the_names_that_its_own_header_gives_them() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "module", 4, [("a", 1, 0)])
    s = BtfBuilder(b.build())
    s.add_composite(Kind.STRUCT, "user", 4, [("of_base", 4, 0)])
    s.add_composite(Kind.STRUCT, "module", 8, [("b", 3, 0)])

    assert body(s.build()) == (
        "#ifndef __VMLINUX_H__\n\nstruct module {\n\tint a;\n};\n\n#endif /* __VMLINUX_H__ */\n\n"
        "struct user {\n\tstruct module of_base;\n};\n\n"
        "struct module___2 {\n\tlong int b;\n};"
    )


def test_forward_declarations_of_one_name_are_one() -> None:
    b = c_builder()
    b.add_fwd("s")
    s = BtfBuilder(b.build())
    s.add_fwd("s")
    s.add_ref(Kind.TYPEDEF, 4, "t")

    text = body(s.build(), Contents(own_only=True))
    assert text == "struct s;\n\ntypedef struct s t;"


@pytest.mark.parametrize("name", ["core::Option<u8>", "int", "2nd", "a;b", "\udcff", "a\nb"])
def test_a_name_that_c_does_not_allow_is_changed(name: str) -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, name, 4, [(name, 1, 0)])
    b.add_ref(Kind.TYPEDEF, 4, name)
    b.add_enum("e", 4, [(name, 1)])

    names = re.findall(r"_\w+", body(b.build()))

    assert len(names) == 5
    assert len(set(names)) == 2  # the enumerator has another name than the typedef
    assert not b.build().find_all(min(names, key=len))


def test_int_and_float_of_names_that_c_does_not_know() -> None:
    b = BtfBuilder()
    ids = [
        b.add_int("__Poly64_t", 8),
        b.add_int("u128", 16),
        b.add_int("flag", 1, encoding=4),
        b.add_int("i24", 3, encoding=1),
        b.add_float("f64", 8),
        b.add_int("long unsigned int", 8),
        b.add_float("_Float128", 16),
    ]
    b.add_composite(Kind.STRUCT, "s", 112, [(f"m{i}", i, 128 * at) for at, i in enumerate(ids)])

    assert re.findall("typedef .*", body(b.build())) == [
        "typedef unsigned long long __Poly64_t;",
        "typedef unsigned __int128 u128;",
        "typedef _Bool flag;",
        "typedef struct { unsigned char bytes[3]; } i24;",
        "typedef double f64;",
        "typedef struct { unsigned char bytes[16]; } __Float128;",
    ]


def test_names_that_c23_has_for_itself() -> None:
    b = BtfBuilder()
    b.add_int("_Bool", 1, encoding=4)
    b.add_ref(Kind.TYPEDEF, 1, "bool")
    b.add_enum("", 4, [("false", 0), ("true", 1)])
    b.add_composite(Kind.STRUCT, "nullptr", 1, [("true", 2, 0)])

    before = "#if !defined(__STDC_VERSION__) || __STDC_VERSION__ <= 201710L\n"
    assert body(b.build()) == (
        f"{before}typedef _Bool bool;\n#endif\n\n"
        "struct _nullptr {\n\tbool _true;\n};\n\n"
        f"{before}enum {{\n\tfalse = 0,\n\ttrue = 1,\n}};\n#endif"
    )
