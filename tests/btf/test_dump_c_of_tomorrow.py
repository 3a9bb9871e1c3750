# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""C: what is of a kind that nobody knows yet is left out, and the rest is where it was."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from btf.c_types import body, function, pointer
from btf.of_tomorrow import first_of_new_kind
from conftest import missing
from kbtf import Btf, BtfBuilder, Kind
from kbtf.btf.dump.c.header import Contents, dump_c

if TYPE_CHECKING:
    from pathlib import Path


def of_new_kind(base: Btf | None = None, byte_order: str | None = None) -> tuple[BtfBuilder, int]:
    """A builder whose first type will be of the new kind, and its id."""
    b = BtfBuilder(base, byte_order)
    return b, b.add_ref(Kind.TYPEDEF, 0, "strange")


def built(b: BtfBuilder) -> Btf:
    return Btf.parse(first_of_new_kind(b), b.base)


def comment(text: str) -> list[str]:
    """The lines of the first comment."""
    return text.partition("/*\n")[2].partition(" */")[0].splitlines()


KNOWN = " * kbtf does not know kind 23: pointers to types of it are pointers to void."


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_members_become_gaps_and_pointers_void(byte_order: str, tmp_path: Path) -> None:
    b, strange = of_new_kind(byte_order=byte_order)
    integer = b.add_int("int", 4, encoding=1)
    mine = b.add_ref(Kind.TYPEDEF, b.add_ref(Kind.CONST, strange), "mine")
    many = b.add_array(mine, integer, 3)
    call = pointer(b, function(b, integer, mine))
    members = [
        ("a", integer, 0),
        ("inside", strange, 32),
        ("many", many, 64),
        ("behind", pointer(b, mine), 256),
        ("call", call, 320),
        ("last", integer, 384),
    ]
    b.add_composite(Kind.STRUCT, "holder", 56, members)
    b.add_composite(Kind.UNION, "either", 12, [("a", integer, 0), ("many", many, 0)])
    text = dump_c(built(b))

    assert comment(text) == [
        KNOWN,
        " * Left out are:",
        " * typedef mine",
        " * member inside of struct holder",
        " * member many of struct holder",
        " * member many of union either",
    ]
    assert "strange" not in text
    assert "\tvoid *behind;\n\tvoid *call;\n\tint last;\n" in text
    compiled(
        f"{text}\n"
        "_Static_assert(sizeof(struct holder) == 56 && sizeof(union either) == 12);\n"
        "_Static_assert(__builtin_offsetof(struct holder, behind) == 32);\n"
        "_Static_assert(__builtin_offsetof(struct holder, last) == 48);\n",
        tmp_path,
    )


def compiled(text: str, folder: Path) -> None:
    if not shutil.which("gcc"):
        missing("gcc is not installed")
    (folder / "x.c").write_text(text)
    subprocess.run(["gcc", "-fsyntax-only", "-w", folder / "x.c"], check=True)


def test_kfuncs_that_need_it_are_not_declared() -> None:
    b, strange = of_new_kind()
    integer = b.add_int("int", 4, encoding=1)
    for name, parameter in (("by_value", strange), ("by_pointer", pointer(b, strange))):
        b.add_decl_tag("bpf_kfunc", b.add_func(name, function(b, integer, parameter)))
    b.add_func("no_kfunc", function(b, strange))
    b.add_func("by_result", function(b, strange))
    text = dump_c(built(b), Contents(kfuncs={"by_result"}))

    assert sorted(comment(text)[2:]) == [" * kfunc by_result", " * kfunc by_value"]
    assert "extern int by_pointer(void *) __ksym;" in text
    assert "extern int by_value" not in text


def test_the_base_may_have_it() -> None:
    base_builder, strange = of_new_kind()
    behind = pointer(base_builder, strange)
    base_builder.add_composite(Kind.STRUCT, "kernels", 8, [("behind", behind, 0)])
    base = built(base_builder)
    kernels = base.find("kernels", Kind.STRUCT)
    assert kernels is not None
    b = BtfBuilder(base)
    b.add_composite(Kind.STRUCT, "own", 16, [("one", kernels.id, 0), ("two", strange, 64)])

    assert "struct own {\n\tstruct kernels one;\n\tlong : 64;\n};" in body(b.build())


def test_a_name_does_not_end_the_comment() -> None:
    b, strange = of_new_kind()
    b.add_ref(Kind.TYPEDEF, strange, "*/int injected;/*")

    assert comment(dump_c(built(b)))[2:] == [" * typedef ___int_injected___"]
