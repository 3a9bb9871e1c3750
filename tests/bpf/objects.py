# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BPF objects compiled from C, and a small kernel with modules for them to be linked against."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf import Btf, BtfBuilder, Kind, Module, distill, read_ids, resolve_ids
from kbtf.btf.base import Base
from kbtf.testing import make_base, make_ids, make_module
from oracles.build import need, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEAD = """\
typedef unsigned int u32;
typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
#define KSYM __attribute__((section(".ksyms")))
#define WEAK __attribute__((weak))
#define NOINLINE __attribute__((noinline))
"""


def compile_c(text: str, path: Path, target: str = "bpfel", *flags: str) -> Path:
    """The object of some C, with BTF unless *flags* say otherwise."""
    need("clang")
    source = path.with_suffix(".c")
    source.write_text(f'{HEAD}{text}char LICENSE[] SEC("license") = "GPL";\n')
    options = ["-target", target, "-mcpu=v3", "-O2", "-Wall", "-Werror", *(flags or ("-g",))]
    run("clang", *options, "-c", source, "-o", path)
    return path


class Function(NamedTuple):
    """A function of a made-up kernel or module."""

    name: str
    params: Sequence[str] = ("u32",)
    returns: str = "u32"
    is_kfunc: bool = True


class Types:
    """Adds the types that functions are made of, each once."""

    def __init__(self, builder: BtfBuilder) -> None:
        self.builder = builder
        self._ids: dict[str, int] = {"void": 0}

    def id(self, name: str) -> int:
        """``u32``, ``struct a``, ``enum e``, or one with ``*`` behind it."""
        if name not in self._ids:
            self._ids[name] = self._add(name)
        return self._ids[name]

    def _add(self, name: str) -> int:
        add = self.builder
        if name.endswith("*"):
            return add.add_ref(Kind.PTR, self.id(name[:-1].rstrip()))
        word, _, tag = name.partition(" ")
        if word == "struct":
            return add.add_composite(Kind.STRUCT, tag, 8)
        if word == "enum":
            return add.add_enum(tag, 4, [(f"{tag}_one", 1)])
        return add.add_int(name, {"u32": 4, "u64": 8, "char": 1}[name])

    def add_function(self, function: Function) -> int:
        """Its FUNC."""
        params = [(f"p{at}", self.id(name)) for at, name in enumerate(function.params)]
        proto = self.builder.add_func_proto(self.id(function.returns), params)
        return self.builder.add_func(function.name, proto)


def make_vmlinux(functions: Sequence[Function] = (), variables: Sequence[str] = ()) -> Base:
    """A kernel that can relocate, with some functions and variables of type u32."""
    types = Types(make_base())
    for function in functions:
        types.add_function(function)
    for name in variables:
        types.builder.add_var(name, types.id("u32"))
    return Base(types.builder.build(), "vmlinux", None, "6.12.0-test")


def make_kmod(
    name: str,
    base: Base,
    functions: Sequence[Function],
    *,
    plain: bool = False,
    resolved: bool = True,
    variables: Sequence[str] = (),
) -> Module:
    """A module with those functions; those that are kfuncs are in the set ``NAME_ids``."""
    types = Types(BtfBuilder(base.btf))
    for function in functions:
        types.add_function(function)
    for variable in variables:
        types.builder.add_var(variable, types.id("u32"))
    # so that there is something to distill
    types.builder.add_ref(Kind.TYPEDEF, 1, f"{name}_int")
    split = types.builder.build()
    distilled, btf_base = split, None
    if not plain:
        new = distill(split)
        distilled, btf_base = new.split, new.base.to_bytes()
    members = [("func", function.name, 0) for function in functions if function.is_kfunc]
    ids = make_ids(set8s={f"{name}_ids": members}) if members else None
    data = make_module(name, btf=distilled.to_bytes(), btf_base=btf_base, ids=ids)
    module = Module(data, f"{name}.ko")
    found = read_ids(module.image) if resolved else None
    if found is not None:
        module.btf_ids = resolve_ids(found, distilled).ids.to_bytes()
        module = Module(module.to_bytes(), f"{name}.ko")
    return module


def btf_of(path: Path) -> Btf:
    """The BTF of an object."""
    from kbtf.elf.image import ElfImage

    return Btf.parse(ElfImage(path.read_bytes()).data(".BTF") or b"")
