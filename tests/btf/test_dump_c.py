"""C: how declarations, their order, names and layout are written."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from conftest import missing
from kbtf import Btf, BtfBuilder, Kind
from kbtf.btf.dump_c import dump_c

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def body(btf: Btf) -> str:
    """The definitions, without what every header has before and after."""
    text = dump_c(btf)
    start = text.index("#define __bpf_fastcall\n#endif\n#endif\n\n")
    found = text[start:].split("#endif\n#endif\n\n", 1)[1]
    return found[: found.rindex("#ifndef BPF_NO_PRESERVE_ACCESS_INDEX")].strip()


# Declarators


def c_builder() -> BtfBuilder:
    """Ids 1 int, 2 char, 3 long."""
    b = BtfBuilder()
    b.add_int("int", 4, encoding=1)
    b.add_int("char", 1, encoding=1)
    b.add_int("long int", 8, encoding=1)
    return b


def pointer(b: BtfBuilder, type_id: int) -> int:
    return b.add_ref(Kind.PTR, type_id)


def const(b: BtfBuilder, type_id: int) -> int:
    return b.add_ref(Kind.CONST, type_id)


def function(b: BtfBuilder, returns: int, *params: int) -> int:
    return b.add_func_proto(returns, [("", param) for param in params])


DECLARATORS: dict[str, Callable[[BtfBuilder], int]] = {
    "int x": lambda b: 1,
    "void *x": lambda b: pointer(b, 0),
    "const char *x": lambda b: pointer(b, const(b, 2)),
    "char *const x": lambda b: const(b, pointer(b, 2)),
    "const char *const volatile *x": lambda b: pointer(
        b, const(b, b.add_ref(Kind.VOLATILE, pointer(b, const(b, 2))))
    ),
    "char *restrict x": lambda b: b.add_ref(Kind.RESTRICT, pointer(b, 2)),
    "int x[2][3]": lambda b: b.add_array(b.add_array(1, 1, 3), 1, 2),
    "int *x[2]": lambda b: b.add_array(pointer(b, 1), 1, 2),
    "int (*x)[2]": lambda b: pointer(b, b.add_array(1, 1, 2)),
    "int x[2]": lambda b: const(b, b.add_array(1, 1, 2)),
    "void (*x)(void)": lambda b: pointer(b, function(b, 0)),
    "void (*x[4])(int, char *)": lambda b: b.add_array(
        pointer(b, function(b, 0, 1, pointer(b, 2))), 1, 4
    ),
    "int (*x)(const char *, ...)": lambda b: pointer(b, function(b, 1, pointer(b, const(b, 2)), 0)),
    "int (*(*x)(int))(char)": lambda b: pointer(
        b, function(b, pointer(b, function(b, 1, 2)), 1)
    ),
    "void (*x)(void (*)(int))": lambda b: pointer(
        b, function(b, 0, pointer(b, function(b, 0, 1)))
    ),
    'int __attribute__((btf_type_tag("user"))) *x': lambda b: pointer(
        b, b.add_ref(Kind.TYPE_TAG, 1, "user")
    ),
    "int __attribute__((address_space(1))) *x": lambda b: pointer(
        b, b.add(Kind.TYPE_TAG, "address_space(1)", kind_flag=True, size_or_type=1)
    ),
    "int *x": lambda b: pointer(b, b.add_ref(Kind.TYPE_TAG, 1, 'quote"')),
}  # fmt: skip


@pytest.mark.parametrize("text", DECLARATORS)
def test_a_declaration_reads_as_it_would_be_written(text: str) -> None:
    b = c_builder()
    b.add_ref(Kind.TYPEDEF, DECLARATORS[text](b), "x")

    assert body(b.build()) == f"typedef {text};"


def test_parameters_have_names_if_these_tell_them_apart() -> None:
    b = c_builder()
    proto = b.add_func_proto(0, [("a", 1), ("b", 2), ("a", 1), ("no name!", 1)])
    b.add_ref(Kind.TYPEDEF, proto, "f")

    assert body(b.build()) == "typedef void f(int a, char b, int, int _no_name_);"


# Order


def test_a_struct_comes_after_those_that_it_holds() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "outer", 4, [("one", 5, 0)])
    b.add_composite(Kind.STRUCT, "inner", 4, [("a", 1, 0)])

    assert body(b.build()) == (
        "struct inner {\n\tint a;\n};\n\nstruct outer {\n\tstruct inner one;\n};"
    )


def test_a_struct_behind_a_pointer_is_announced() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "a", 8, [("b", 5, 0)])
    b.add_ref(Kind.PTR, 6)
    b.add_composite(Kind.STRUCT, "b", 8, [("a", 7, 0)])
    b.add_ref(Kind.PTR, 4)

    assert body(b.build()) == (
        "struct b;\n\nstruct a {\n\tstruct b *b;\n};\n\nstruct b {\n\tstruct a *a;\n};"
    )


def test_a_struct_that_points_to_itself_is_not_announced() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "list", 8, [("next", 5, 0)])
    b.add_ref(Kind.PTR, 4)

    assert body(b.build()) == "struct list {\n\tstruct list *next;\n};"


def test_what_an_anonymous_struct_holds_is_complete_even_behind_a_pointer() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "outer", 8, [("p", 5, 0)])
    b.add_ref(Kind.PTR, 6)
    b.add_composite(Kind.STRUCT, "", 4, [("held", 7, 0)])
    b.add_composite(Kind.UNION, "held", 4, [("a", 1, 0)])

    assert body(b.build()) == (
        "union held {\n\tint a;\n};\n\n"
        "struct outer {\n\tstruct {\n\t\tunion held held;\n\t} *p;\n};"
    )


def test_elements_are_complete_even_behind_a_pointer() -> None:
    b = c_builder()
    b.add_ref(Kind.TYPEDEF, 5, "p")
    b.add_ref(Kind.PTR, 6)
    b.add_array(7, 1, 3)
    b.add_composite(Kind.STRUCT, "element", 4, [("a", 1, 0)])

    assert body(b.build()).endswith("};\n\ntypedef struct element (*p)[3];")


def test_an_enum_without_a_name_stands_where_it_is_used_or_alone() -> None:
    b = c_builder()
    b.add_enum("", 4, [("USED", 1)])
    b.add_composite(Kind.STRUCT, "s", 4, [("e", 4, 0)])
    b.add_enum("", 4, [("ALONE", 2)])

    assert body(b.build()) == (
        "struct s {\n\tenum {\n\t\tUSED = 1,\n\t} e;\n};\n\nenum {\n\tALONE = 2,\n};"
    )


# Names


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


def test_own_types_keep_their_names_before_those_of_the_base() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "module", 4, [("a", 1, 0)])
    s = BtfBuilder(b.build())
    s.add_composite(Kind.STRUCT, "user", 4, [("of_base", 4, 0)])
    s.add_composite(Kind.STRUCT, "module", 8, [("b", 3, 0)])

    assert body(s.build()) == (
        "struct module___2 {\n\tint a;\n};\n\n"
        "struct user {\n\tstruct module___2 of_base;\n};\n\n"
        "struct module {\n\tlong int b;\n};"
    )


def test_forward_declarations_of_one_name_are_one() -> None:
    b = c_builder()
    b.add_fwd("s")
    s = BtfBuilder(b.build())
    s.add_fwd("s")
    s.add_ref(Kind.TYPEDEF, 4, "t")

    assert body(s.build()) == "struct s;\n\ntypedef struct s t;"


@pytest.mark.parametrize("name", ["core::Option<u8>", "int", "2nd", "a;b", "\udcff", "a\nb"])
def test_a_name_that_c_does_not_allow_is_changed(name: str) -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, name, 4, [(name, 1, 0)])
    b.add_ref(Kind.TYPEDEF, 4, name)
    b.add_enum("e", 4, [(name, 1)])

    names = re.findall(r"_\w+", body(b.build()))

    assert len(names) == 5
    assert len(set(names)) == 2  # the enumerator has another name than the typedef


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
    b.add_composite(Kind.STRUCT, "s", 64, [(f"m{i}", i, 128 * at) for at, i in enumerate(ids)])

    assert re.findall("typedef .*", body(b.build())) == [
        "typedef unsigned long long __Poly64_t;",
        "typedef unsigned __int128 u128;",
        "typedef _Bool flag;",
        "typedef struct { unsigned char bytes[3]; } i24;",
        "typedef double f64;",
    ]


# Layout


def layout(size: int, *members: tuple[str, int, int] | tuple[str, int, int, int]) -> list[str]:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "s", size, members)
    return [line.strip() for line in body(b.build()).splitlines()[1:]]


def test_padding_that_compilers_add_is_not_written() -> None:
    assert layout(16, ("a", 2, 0), ("b", 1, 32), ("c", 3, 64)) == [
        "char a;", "int b;", "long int c;", "};"
    ]  # fmt: skip


def test_other_padding_is_written_in_units_of_the_alignment_at_most() -> None:
    assert layout(16, ("a", 1, 0), ("b", 1, 96)) == [
        "int a;", "int : 32;", "int : 32;", "int b;", "};"
    ]  # fmt: skip
    assert layout(16, ("a", 3, 0), ("b", 2, 72)) == ["long int a;", "char : 8;", "char b;", "};"]


def test_much_padding_is_an_array() -> None:
    assert layout(128, ("a", 3, 0), ("b", 3, 512)) == [
        "long int a;", "unsigned char __gap_1[56];",
        "long int b;", "unsigned char __gap_2[56];", "};",
    ]  # fmt: skip


def test_members_off_their_alignment_mean_packed() -> None:
    packed = "} __attribute__((packed));"
    assert layout(5, ("a", 2, 0), ("b", 1, 8)) == ["char a;", "int b;", packed]
    assert layout(5, ("b", 1, 0), ("a", 2, 32)) == ["int b;", "char a;", packed]
    assert layout(8, ("a", 1, 0, 30), ("b", 1, 30, 4)) == [
        "int a : 30;", "int b : 4;",
        "char : 6;", "char : 8;", "char : 8;", "char : 8;", packed,
    ]  # fmt: skip


def test_bitfields_keep_their_place() -> None:
    assert layout(8, ("a", 1, 0, 3), ("b", 1, 5, 2), ("c", 1, 32, 1)) == [
        "int a : 3;", "char : 2;", "int b : 2;",
        "char : 1;", "char : 8;", "short : 16;", "int c : 1;", "};",
    ]  # fmt: skip


def test_a_union_of_another_size_than_its_members() -> None:
    b = c_builder()
    b.add_composite(Kind.UNION, "large", 64, [("a", 3, 0)])
    b.add_array(2, 1, 5)
    b.add_composite(Kind.UNION, "packed", 5, [("a", 1, 0), ("b", 5, 0)])

    text = body(b.build())

    assert "\tlong int a;\n\tunsigned char __gap_1[64];\n}" in text
    assert "\tint a;\n\tchar b[5];\n} __attribute__((packed));" in text


def test_a_struct_without_members_has_its_size() -> None:
    b = BtfBuilder()
    b.add_composite(Kind.STRUCT, "device", 760)

    assert body(b.build()) == "struct device {\n\tunsigned char __gap_1[760];\n};"


def test_a_named_struct_as_a_member_without_a_name_is_written_out() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "part", 4, [("a", 1, 0)])
    b.add_composite(Kind.STRUCT, "whole", 8, [("", 4, 0), ("b", 1, 32)])

    assert body(b.build()).endswith("struct whole {\n\tstruct {\n\t\tint a;\n\t};\n\tint b;\n};")


def test_pointers_are_as_large_as_a_long() -> None:
    b = BtfBuilder()
    b.add_int("long int", 4, encoding=1)
    b.add_ref(Kind.PTR, 0)
    b.add_composite(Kind.STRUCT, "s", 8, [("p", 2, 0), ("q", 2, 32)])

    assert body(b.build()) == "struct s {\n\tvoid *p;\n\tvoid *q;\n};"


ENUMS = {
    "enum e {\n\tA = 4294967295,\n}": (Kind.ENUM, 4, [("A", 0xFFFFFFFF)], False),
    "enum e {\n\tA = -1,\n}": (Kind.ENUM, 4, [("A", -1)], True),
    "enum e {\n\tA = 1,\n} __attribute__((mode(QI)))": (Kind.ENUM, 1, [("A", 1)], False),
    "enum e {\n\tA = 1,\n} __attribute__((mode(HI)))": (Kind.ENUM, 2, [("A", 1)], False),
    "enum e {\n\tA = 1,\n} __attribute__((mode(DI)))": (Kind.ENUM, 8, [("A", 1)], False),
    "enum e {\n\tA = -1,\n} __attribute__((mode(DI))) ": (Kind.ENUM64, 8, [("A", -1)], True),
    "enum e {\n\tA = 18446744073709551615ULL,\n}": (Kind.ENUM64, 8, [("A", 2**64 - 1)], False),
    "enum e {\n\tA = (-9223372036854775807LL - 1),\n}": (Kind.ENUM64, 8, [("A", -(2**63))], True),
    "enum e {\n\tA = -2147483649LL,\n}": (Kind.ENUM64, 8, [("A", -(2**31) - 1)], True),
    "enum e {\n\t__e_1_has_no_values = 0,\n}": (Kind.ENUM, 4, [], False),
}


@pytest.mark.parametrize("text", ENUMS)
def test_an_enum_has_its_values_and_its_size(text: str) -> None:
    kind, size, values, signed = ENUMS[text]
    b = BtfBuilder()
    (b.add_enum if kind is Kind.ENUM else b.add_enum64)("e", size, values, signed=signed)

    assert body(b.build()) == f"{text.rstrip()};"


# What is printed


def test_of_split_btf_its_own_types_and_what_they_need_are_printed() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "unused", 4, [("a", 1, 0)])
    b.add_composite(Kind.STRUCT, "held", 4, [("a", 1, 0)])
    b.add_composite(Kind.STRUCT, "pointed", 4, [("a", 1, 0)])
    s = BtfBuilder(b.build())
    s.add_composite(Kind.STRUCT, "own", 16, [("held", 5, 0), ("to", s.next_id + 1, 64)])
    s.add_ref(Kind.PTR, 6)

    assert body(s.build()) == (
        "struct held {\n\tint a;\n};\n\nstruct pointed;\n\n"
        "struct own {\n\tstruct held held;\n\tstruct pointed *to;\n};"
    )


def test_kfuncs_get_prototypes() -> None:
    b = c_builder()
    b.add_fwd("task")
    b.add_ref(Kind.PTR, 4)
    b.add_ref(Kind.TYPEDEF, 1, "fast")
    proto = b.add_func_proto(1, [("task", 5), ("flags", 1)])
    for name in ("fast", "slow", "untagged"):
        func = b.add_func(name, proto)
        b.add_decl_tag("bpf_kfunc" if name != "untagged" else "other", func)
        if name == "fast":
            b.add_decl_tag("bpf_fastcall", func)

    assert body(b.build()) == (
        "struct task;\n\ntypedef int fast___2;\n\n"
        "/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n"
        "extern int fast(struct task *task, int flags) __weak __ksym __bpf_fastcall;\n"
        "extern int slow(struct task *task, int flags) __weak __ksym;\n#endif"
    )


def test_the_compilers_own_va_list_is_not_defined() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "__va_list_tag", 8, [("a", 3, 0)])
    b.add_array(4, 1, 1)
    b.add_ref(Kind.TYPEDEF, 5, "__builtin_va_list")
    b.add_ref(Kind.TYPEDEF, 6, "va_list")
    b.add_ref(Kind.TYPEDEF, 0, "__gnuc_va_list")

    assert re.findall("typedef .*", body(b.build())) == [
        "typedef __builtin_va_list va_list;",
        "typedef __builtin_va_list __gnuc_va_list;",
    ]


@pytest.mark.integration
def test_the_examples_compile(tmp_path: Path) -> None:
    b = c_builder()
    for at, make in enumerate(DECLARATORS.values()):
        b.add_ref(Kind.TYPEDEF, make(b), f"x{at}")
    for at, (kind, size, values, signed) in enumerate(ENUMS.values()):
        add = b.add_enum if kind is Kind.ENUM else b.add_enum64
        add(f"e{at}", size, [(f"{name}{at}", value) for name, value in values], signed=signed)
    for at, name in enumerate(["__Poly8_t", "u128", "flag", "i24"]):
        number = b.add_int(name, (1, 16, 1, 3)[at], encoding=4 * (name == "flag"))
        b.add_composite(Kind.STRUCT, f"of_{name}", 16, [("m", number, 0)])

    file = tmp_path / "examples.c"
    file.write_text(dump_c(b.build()))

    command = [shutil.which("gcc") or missing("no gcc"), "-fsyntax-only", "-std=gnu11", "-w"]
    done = subprocess.run([*command, file], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
