# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Base BTF as another compiler would have had it: other words for the same types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hostile.dwarf import (
    BASE,
    DATA1,
    ENCODING,
    NAME,
    ROOT,
    SIZE,
    STRING,
    Section,
    abbreviation,
    dwarf,
    unit,
)
from hostile.dwarf import module as hostile_module
from kbtf import Btf, BtfBuilder, Kind, Module
from kbtf.btf.base import Base
from kbtf.encode.compilers import as_by_clang, base_path, made_by
from kbtf.program import main
from kbtf.testing import make_module

if TYPE_CHECKING:
    from pathlib import Path

# As gcc 12 and clang 14 name them in DWARF.
NAMES = [
    ("long int", "long"),
    ("long unsigned int", "unsigned long"),
    ("short int", "short"),
    ("short unsigned int", "unsigned short"),
    ("long long int", "long long"),
    ("long long unsigned int", "unsigned long long"),
    ("__int128 unsigned", "unsigned __int128"),
    ("unsigned int", "unsigned int"),
    ("char", "char"),
    ("int", "int"),
    ("_Bool", "_Bool"),
]


def gcc_base(byte_order: str = "little") -> Btf:
    b = BtfBuilder(byte_order=byte_order)
    for name, _ in NAMES:
        b.add_int(name, 8)
    inner = b.add_composite(Kind.STRUCT, "", 8, [("a", 1, 0)])
    plain = b.add_composite(Kind.STRUCT, "named", 8, [("a", 1, 0)])
    fixed = b.add_ref(Kind.CONST, inner)
    changing = b.add_ref(Kind.VOLATILE, inner)
    kept = b.add_ref(Kind.CONST, plain)
    members = [("", inner, 0), ("", fixed, 64), ("v", changing, 128), ("k", kept, 192)]
    b.add_composite(Kind.STRUCT, "outer", 32, members)
    b.add_composite(Kind.UNION, "either", 8, [("", fixed, 0)])
    b.add_ref(Kind.PTR, fixed)
    return b.build()


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_integers_have_clangs_names_and_nothing_moves(byte_order: str) -> None:
    base = gcc_base(byte_order)

    made = as_by_clang(base)

    assert [t.name for t in made if t.kind is Kind.INT] == [clang for _, clang in NAMES]
    assert (len(made), made.end_str, made.byte_order) == (len(base), base.end_str, byte_order)
    assert len(made.to_bytes()) == len(base.to_bytes())
    for before, after in zip(base, made, strict=True):
        assert (before.kind, before.vlen, before.id) == (after.kind, after.vlen, after.id)
        if before.kind is not Kind.INT:
            assert before.name == after.name


def test_members_that_are_anonymous_structs_lose_their_qualifiers() -> None:
    base = gcc_base()
    inner = len(NAMES) + 1

    made = as_by_clang(base)

    outer, either = made.find("outer", Kind.STRUCT), made.find("either", Kind.UNION)
    assert outer is not None
    assert either is not None
    assert [m.type for m in outer.members[:3]] == [inner, inner, inner]
    assert made[outer.members[3].type].kind is Kind.CONST, "a named struct stays const"
    assert [m.type for m in either.members] == [inner]
    (pointer,) = (t for t in made if t.kind is Kind.PTR)
    assert made[pointer.type or 0].kind is Kind.CONST, "what is no member stays const"


def test_a_base_is_made_as_clangs_once_for_all_modules() -> None:
    base = gcc_base()
    assert as_by_clang(base) is as_by_clang(base)


def test_the_compiler_is_told_by_the_names() -> None:
    b = BtfBuilder()
    b.add_int("int", 4)
    assert made_by(gcc_base()) == "gcc"
    assert made_by(as_by_clang(gcc_base())) == "clang"
    assert made_by(b.build()) is None


@pytest.mark.parametrize(
    ("comment", "kernels", "rewritten", "said"),
    [
        (b"\0GCC: (Debian) 12.2.0\0", "gcc", False, ""),
        (b"\0Debian clang version 14.0.6\0", "gcc", True, "built with clang"),
        (b"\0clang version 19\0\0GCC: (X) 9\0", "gcc", True, "built with clang"),
        (b"\0Debian clang version 14.0.6\0", "clang", False, ""),
        (b"\0GCC: (Debian) 12.2.0\0", "clang", False, "build with LLVM=1"),
        (None, "gcc", False, ""),
    ],
)
def test_a_module_gets_the_base_of_its_compiler(
    comment: bytes | None, kernels: str, rewritten: bool, said: str, tmp_path: Path
) -> None:
    base = gcc_base() if kernels == "gcc" else as_by_clang(gcc_base())
    elf = make_module(sections={".comment": comment} if comment else None)
    module = Module(elf, "m.ko", find_base=lambda _: Base(base, "vmlinux", "/vmlinux", None))

    path = base_path(module, str(tmp_path))

    assert (path != "/vmlinux") is rewritten
    assert said in " ".join([*module.notes, *module.warnings])
    assert bool(said) is bool(module.notes or module.warnings)


@pytest.mark.parametrize("how", ["run", "encode"])
def test_only_kbtf_encode_looks_types_up_as_pahole_does(how: str, run_dir: Path) -> None:
    """By the names in DWARF, which clang and gcc do not share."""
    number = abbreviation(2, BASE, NAME, STRING, SIZE, DATA1, ENCODING, DATA1)
    sections = dwarf(ROOT + number, unit(b"\2unsigned long\0\x08\x07" + b"\0"))
    comment = Section(".comment", b"\0Debian clang version 14.0.6\0")
    (run_dir / "m.ko").write_bytes(hostile_module([*sections, comment]))
    (run_dir / "base").write_bytes(gcc_base().to_bytes())

    assert main([how, "--base", "base", "m.ko", "-o", "out"]) == 0

    if how == "run":
        base = Base(gcc_base(), "base", "base", None)
        encoded = Module.open("out", find_base=lambda _: base).btf
    else:
        encoded = Btf.parse((run_dir / "out").read_bytes(), gcc_base())
    assert encoded is not None
    assert [type_.name for type_ in encoded] == (["unsigned long"] if how == "encode" else [])
