# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""C: how declarations are written, and in which order."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from btf.c_types import body, c_builder, const, function, pointer
from conftest import missing
from kbtf import Btf, BtfBuilder, Kind
from kbtf.btf.dump.c.header import Contents, dump_c

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Declarators

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
    'int __attribute__((btf_type_tag("quote\\042\\303\\244"))) *x': lambda b: pointer(
        b, b.add_ref(Kind.TYPE_TAG, 1, 'quote"\u00e4')
    ),
    'int __attribute__((btf_type_tag("b"))) __attribute__((btf_type_tag("a"))) *x': lambda b: (
        pointer(b, b.add_ref(Kind.TYPE_TAG, b.add_ref(Kind.TYPE_TAG, 1, "b"), "a"))
    ),
    "int *x": lambda b: pointer(
        b, b.add(Kind.TYPE_TAG, "aligned(64)", kind_flag=True, size_or_type=1)
    ),
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


def split_btf() -> Btf:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "unused", 4, [("a", 1, 0)])
    b.add_composite(Kind.STRUCT, "held", 4, [("a", 1, 0)])
    b.add_composite(Kind.STRUCT, "pointed", 4, [("a", 1, 0)])
    b.add_enum("bpf_map_type", 4, [("BPF_MAP_TYPE_HASH", 1)])
    b.add_enum("", 4, [("ALONE", 1)])
    s = BtfBuilder(b.build())
    s.add_composite(Kind.STRUCT, "own", 16, [("held", 5, 0), ("to", s.next_id + 1, 64)])
    s.add_ref(Kind.PTR, 6)
    s.add_enum("own_enum", 4, [("ALONE", 2)])
    return s.build()


OWN = (
    "struct own {\n\tstruct held held;\n\tstruct pointed *to;\n};\n\n"
    "enum own_enum {\n\tALONE___2 = 2,\n};"
)


def test_a_modules_header_has_what_its_types_lead_to_unless_vmlinux_h_has_it() -> None:
    assert body(split_btf()) == (
        "#ifndef __VMLINUX_H__\n\n"
        "struct held {\n\tint a;\n};\n\nstruct pointed {\n\tint a;\n};\n\n"
        "enum bpf_map_type {\n\tBPF_MAP_TYPE_HASH = 1,\n};\n\n"
        f"#endif /* __VMLINUX_H__ */\n\n{OWN}"
    )


def test_a_modules_header_may_have_its_own_types_only() -> None:
    assert body(split_btf(), Contents(own_only=True)) == f"struct pointed;\n\n{OWN}"


def test_the_guard_is_named_after_the_module() -> None:
    text = dump_c(split_btf(), Contents(name="snd-hda-intel"))

    assert text.startswith("#ifndef __SND_HDA_INTEL_H__\n#define __SND_HDA_INTEL_H__\n")
    assert text.endswith("#endif /* __SND_HDA_INTEL_H__ */\n")


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
        "extern int fast(struct task *task, int flags) __ksym __bpf_fastcall;\n"
        "extern int slow(struct task *task, int flags) __ksym;\n#endif"
    )
    contents = Contents(kfuncs={"untagged"}, weak=True)
    assert "extern int untagged(struct task *task, int flags) __weak __ksym;\n" in (
        body(b.build(), contents)
    )


def test_a_va_list_has_the_size_of_the_kernels_machine() -> None:
    b = c_builder()
    b.add_composite(Kind.STRUCT, "__va_list_tag", 8, [("a", 3, 0)])
    b.add_array(4, 1, 1)
    b.add_ref(Kind.TYPEDEF, 5, "__builtin_va_list")
    b.add_ref(Kind.TYPEDEF, 6, "va_list")
    b.add_ref(Kind.TYPEDEF, 0, "__gnuc_va_list")

    assert re.findall("typedef .*", body(b.build())) == [
        "typedef struct __va_list_tag ___builtin_va_list[1];",
        "typedef ___builtin_va_list va_list;",
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
