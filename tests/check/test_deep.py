# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What changed between two kernels in the types that a module reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from check.declared import Kernel, changes, compare, lines, module
from kbtf import Btf, BtfBuilder, Kind, RelocationError, distill
from kbtf.check.rules.deep import compare_deep
from kbtf.findings.finding import Severity

if TYPE_CHECKING:
    pass


def one(old: str, new: str, use: str = "ptr s") -> list[str]:
    return changes((old,), (new,), use)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("int bar 0", "int bar 0", []),
        ("int bar 0", "int bar 32",
         ["member-moved struct s: member 'bar' moved from byte 0 to byte 4"]),
        ("int bar 0", "", ["member-gone struct s: member 'bar' was removed"]),
        ("", "int bar 0", ["member-added struct s: member 'bar' was added; the size is the same"]),
        ("int bar 0", "long bar 0", ["member-changed struct s: member 'bar' was int, is now long"]),
        (
            "int a 0, int b 32, int c 64, int d 96",
            "int a 0, int b 64, int c 96, int d 128",
            ["member-moved struct s: member 'b' moved from byte 4 to byte 8, "
             "and the 2 members after it by the same distance"],
        ),
        (
            "int a 0, int b 32, int c 64",
            "int a 32, int b 32, int c 96",
            ["member-moved struct s: member 'a' moved from byte 0 to byte 4",
             "member-moved struct s: member 'c' moved from byte 8 to byte 12"],
        ),
        (
            "int a 0:3, int b 3:1",
            "int a 0:4, int b 4:1",
            ["member-changed struct s: member 'a' was 3 bits, is now 4 bits",
             "member-moved struct s: member 'b' moved from bit 3 to bit 4"],
        ),
        ("int a 0", "int a 0:8", ["member-changed struct s: member 'a' was whole, is now 8 bits"]),
    ],
)  # fmt: skip
def test_members(old: str, new: str, expected: list[str]) -> None:
    assert one(f"struct s 64: {old}", f"struct s 64: {new}") == expected


def test_findings_are_warnings_that_name_the_type() -> None:
    old, new = Kernel("struct s 8: int a 0"), Kernel("struct s 8: int b 0")
    found = compare(old, new, "ptr s")

    assert [(f.severity, f.code, f.type) for f in found] == [
        (Severity.WARNING, "member-gone", "struct s"),
        (Severity.NOTE, "member-added", "struct s"),
    ]


NAMELESS = ("struct _in 16: int x 0, int y 32", "union _u 16: _in n 0, long z 0")


def test_members_of_nameless_structs_are_told_by_their_paths() -> None:
    old = (*NAMELESS, "struct s 64: _u - 64, _in in 256")
    moved = ("struct _in 16: int x 0, int y 64", "union _u 16: _in n 0, char z 0")

    assert changes(old, (*moved, "struct s 64: _u - 64, _in in 256")) == [
        "member-changed struct s: member 'z' was long, is now char",
        "member-moved struct s: member 'n.y' moved from byte 12 to byte 16",
        "member-moved struct s: member 'in.y' moved from byte 36 to byte 40",
    ]


def test_what_moves_with_its_struct_is_told_once() -> None:
    old = (*NAMELESS, "struct s 64: _in in 0, _u - 128")

    assert changes(old, (*NAMELESS, "struct s 64: _in in 64, _u - 192")) == [
        "member-moved struct s: member 'in' moved from byte 0 to byte 8, "
        "and the 2 members after it by the same distance"
    ]
    assert changes(old, (*NAMELESS, "struct s 64: int in 0, _u - 128")) == [
        "member-changed struct s: member 'in' was struct {...}, is now int"
    ]
    assert changes(old, (*NAMELESS, "struct s 64: _u - 128")) == [
        "member-gone struct s: member 'in' was removed"
    ]


def test_a_group_that_can_also_be_named_is_told_once() -> None:
    def grouped(first: int) -> tuple[str, ...]:
        inside = f"int x {first}, int y {first + 64}"
        twins = (f"struct _one 16: {inside}", f"struct _two 16: {inside}")
        return (*twins, "union _both 16: _one - 0, _two headers 0", "struct s 32: _both - 64")

    assert changes(grouped(0), grouped(32)) == [
        "member-moved struct s: member 'x' moved from byte 8 to byte 12, "
        "and the member after it by the same distance"
    ]


def test_a_struct_held_by_value_is_reached_and_one_behind_a_pointer_is_not() -> None:
    def kernel(held: int, behind: int) -> tuple[str, ...]:
        return (
            f"struct held 16: int a {held}",
            f"struct behind 16: int a {behind}",
            "array _held held 2",
            "typedef held_t _held",
            "ptr _p behind",
            "struct s 64: held_t h 0, _p p 256",
        )

    assert changes(kernel(0, 0), kernel(32, 32)) == [
        "member-moved struct held: member 'a' moved from byte 0 to byte 4"
    ]
    # the module itself has a pointer to it
    assert lines(compare(Kernel(*kernel(0, 0)), Kernel(*kernel(0, 32)), "ptr s", "ptr behind")) == [
        "member-moved struct behind: member 'a' moved from byte 0 to byte 4"
    ]


def test_types_with_a_name_are_the_same_by_their_name() -> None:
    old = ("struct other 8", "ptr _p other", "const _c _p", "struct s 8: _c p 0")
    assert changes(old, ("struct other 16", "ptr _p other", "struct s 8: _p p 0")) == []
    assert changes(old, ("fwd other", "ptr _p other", "struct s 8: _p p 0")) == []
    assert changes(old, ("union other 8", "ptr _p other", "struct s 8: _p p 0")) == [
        "member-changed struct s: member 'p' was struct other *, is now union other *"
    ]


def test_an_integer_of_another_name_is_the_same() -> None:
    other = Kernel("typedef s32 int", "struct s 8: s32 a 0")
    found = compare(Kernel("struct s 8: int a 0"), other, "ptr s")
    assert found == []


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("proto _f int s_ptr int", ""),
        ("proto _f int s_ptr long", "int (*)(struct s *, long)"),
        ("proto _f int s_ptr", "int (*)(struct s *)"),
        ("proto _f void s_ptr int", "void (*)(struct s *, int)"),
        ("proto _f int s_ptr int void", "int (*)(struct s *, int, ...)"),
    ],
)
def test_prototypes_of_function_pointers(new: str, expected: str) -> None:
    def kernel(proto: str) -> tuple[str, ...]:
        return ("fwd s", "ptr s_ptr s", proto, "ptr _p _f", "struct ops 8: _p call 0")

    found = changes(kernel("proto _f int s_ptr int"), kernel(new), "ptr ops")

    was = "member-changed struct ops: member 'call' was int (*)(struct s *, int), is now "
    assert found == ([was + expected] if expected else [])


def test_enums() -> None:
    old = "enum e 4: A 0, B 1, C 2, D 3"
    assert one(old, "enum e 4: A 0, B 1, C 2, D 3, E 4", "param e") == []
    assert one(old, "enum e 4: A 0, N 1, B 2, C 3, D 3", "param e") == [
        "enum-changed enum e: B was 1, is now 2, and the value after it changed by as much"
    ]
    assert one(old, "enum e 8: A 0, C 2, D 3", "param e") == [
        "enum-changed enum e: was 4 bytes, is now 8",
        "enum-changed enum e: B was removed",
    ]


def test_an_enum_that_a_reached_struct_uses_is_reached() -> None:
    struct = ("ptr _p e", "struct s 8: _p p 0")
    assert changes(("enum e 4: A 0", *struct), ("enum e 4: A 1", *struct)) == [
        "enum-changed enum e: A was 0, is now 1"
    ]


def test_typedefs() -> None:
    def kernel(target: str, *more: str) -> tuple[str, ...]:
        return (*more, f"typedef t {target}", "struct s 8: t a 0")

    assert changes(kernel("int"), kernel("long")) == [
        "typedef-changed typedef t: was int, is now long"
    ]
    assert changes(kernel("int"), kernel("int"), "param t") == []
    assert changes(kernel("int"), kernel("long"), "param t") == [
        "typedef-changed typedef t: was int, is now long"
    ]
    nameless = kernel("_n", "struct _n 8: int a 0, int b 32")
    assert changes(nameless, kernel("_n", "struct _n 12: int b 0, int a 64")) == [
        "typedef-changed typedef t: was 8 bytes, is now 12",
        "member-moved typedef t: member 'a' moved from byte 0 to byte 8",
        "member-moved typedef t: member 'b' moved from byte 4 to byte 0",
    ]
    assert changes(kernel("_e", "enum _e 4: A 0"), kernel("_e", "enum _e 4: A 1")) == [
        "enum-changed typedef t: A was 0, is now 1"
    ]


def test_a_typedef_of_the_module_is_not_taken_for_the_kernels() -> None:
    old, new = Kernel("typedef t int"), Kernel("typedef t int")
    s = BtfBuilder(old.btf)
    s.add_var("v", s.add_ref(Kind.TYPEDEF, old.ids["long"], "t"))

    assert compare_deep(s.build(), old.btf, new.btf) == []


BY_VALUE = {
    "param": "passed by value to function 'take' as 'x'",
    "result": "returned by value from function 'give'",
    "var": "the type of variable 'state'",
    "array": "in an array of 4",
    "typedef": "typedef mine",
}


@pytest.mark.parametrize("use", BY_VALUE)
def test_a_struct_used_by_value_was_resized(use: str) -> None:
    assert one("struct s 8", "struct s 16", f"{use} s") == [
        f"by-value-resized struct s: was 8 bytes, is now 16; it is {BY_VALUE[use]}"
    ]


@pytest.mark.parametrize("use", ["ptr", "typedef-ptr"])
def test_a_struct_used_through_pointers_was_resized(use: str) -> None:
    old, new = Kernel("struct s 8: int a 0"), Kernel("struct s 16: int a 0, int b 64")
    (found,) = compare(old, new, f"{use} s")

    assert found.severity is Severity.NOTE
    assert (found.code, found.text) == ("resized", "struct s: was 8 bytes, is now 16")


def test_an_embedded_struct_was_resized() -> None:
    old, new = Kernel("struct s 8"), Kernel("struct s 16")

    assert lines(compare(old, new, "member s", "param s")) == [
        "embedded-resized struct s: was 8 bytes, is now 16; "
        "it is embedded in struct priv (member 'in')"
    ]


def test_types_that_are_gone_or_something_else() -> None:
    assert one("struct s 8", "union s 8") == ["kind-changed struct s is now union s"]
    assert one("struct s 8", "fwd s") == ["type-gone struct s is now only declared"]
    assert one("struct s 8", "struct t 8") == ["type-gone struct s was removed"]
    assert one("enum e 4: A 0", "struct e 4", "param e") == ["type-gone enum e was removed"]


def test_of_several_types_of_a_name_the_most_alike_is_taken() -> None:
    old = Kernel("struct s 8: int a 0")
    new = Kernel("struct s 8: int b 0", "struct s 8: int a 0", "struct s 8: int a 32")

    assert compare(old, new, "ptr s") == []


def test_findings_are_in_the_order_of_names_and_not_repeated() -> None:
    old = Kernel("struct b 8: int x 0", "struct a 8: int x 0", "struct b 8: int x 0")
    new = Kernel("struct a 8", "struct b 8")
    old.ids["b2"] = old.ids["struct b"]

    assert [f.type for f in compare(old, new, "ptr b", "ptr a", "ptr b2")] == [
        "struct a",
        "struct b",
    ]


def test_split_btf_on_another_object_of_the_same_base() -> None:
    old, new = Kernel("struct s 8: int a 0"), Kernel("struct s 8")
    again = Btf.parse(old.btf.to_bytes())

    assert len(compare_deep(module(old, "ptr s"), again, new.btf)) == 1


def test_a_distilled_module_of_another_base_is_refused() -> None:
    old, new = Kernel("struct s 8"), Kernel("struct t 8")
    split = distill(module(old, "ptr s")).split

    with pytest.raises(RelocationError):
        compare_deep(split, new.btf, new.btf)


def test_rings_end() -> None:
    def ring(last: int) -> Btf:
        b = BtfBuilder()
        # a struct s whose members are: rings of const, of typedefs, of nameless structs
        members = [("c", 2, 0), ("t", 4, 64), ("p", 6, 128), ("", 8, 192), ("n", 8, 256)]
        b.add_composite(Kind.STRUCT, "s", 64, members)
        b.add_ref(Kind.CONST, 3)
        b.add_ref(Kind.VOLATILE, 2)
        b.add_ref(Kind.TYPEDEF, 5, "one")
        b.add_ref(Kind.TYPEDEF, 4, "two")
        b.add_ref(Kind.PTR, 7)
        b.add_ref(Kind.CONST, 6)
        b.add_composite(Kind.STRUCT, "", 8, [("", 8, 0), ("x", 8, 0), ("y", last, 0)])
        return b.build()

    old = ring(6)
    s = BtfBuilder(old)
    s.add_func("f", s.add_func_proto(0, [("s", s.add_ref(Kind.PTR, 1))]))

    assert compare_deep(s.build(), old, ring(6)) == []
    assert compare_deep(s.build(), old, ring(2))


def test_nesting_that_multiplies_ends() -> None:
    def doubled(leaf: str) -> Btf:
        b = BtfBuilder()
        inner = b.add_composite(Kind.STRUCT, "", 8, [(leaf, 0, 0)])
        for _ in range(40):
            inner = b.add_composite(Kind.STRUCT, "", 8, [("", inner, 0), ("b", inner, 0)])
        b.add_composite(Kind.STRUCT, "s", 8, [("", inner, 0)])
        return b.build()

    old = doubled("x")
    s = BtfBuilder(old)
    s.add_var("v", old.end_id - 1)

    assert compare_deep(s.build(), old, doubled("x")) == []


def test_chains_do_not_exhaust_the_stack() -> None:
    def deep(last: int) -> Btf:
        b = BtfBuilder()
        b.add_int("int", 4)
        b.add_int("long", 8)
        at = last
        for kind in (Kind.PTR, Kind.CONST) * 10_000:
            at = b.add_ref(kind, at)
        b.add_composite(Kind.STRUCT, "s", 8, [("x", at, 0)])
        return b.build()

    old = deep(1)
    s = BtfBuilder(old)
    s.add_var("v", s.add_ref(Kind.PTR, old.end_id - 1))

    assert compare_deep(s.build(), old, deep(1)) == []
    (found,) = compare_deep(s.build(), old, deep(2))
    assert found.code == "member-changed"
    assert len(found.text) < 200
