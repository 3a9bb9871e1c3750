# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Modules with kfunc sets in memory, whose functions are given as C declares them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from kbtf import Btf, BtfBuilder, ElfImage, Kind, Module, read_ids, resolve_ids
from kbtf.btf.base import Base
from kbtf.ids.kfunc_flags import SLEEPABLE, TRUSTED_ARGS
from kbtf.testing import ElfSymbol, make_base, make_ids, make_module

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kbtf import BtfIds

DECLARATION = re.compile(r"(?P<result>.*?[ *])(?P<name>\w+)\((?P<params>.*)\)")
PARAMETER = re.compile(r"(?P<type>.*?[ *])(?P<name>\w+)")
INTS = {
    "char": (1, 3),
    "bool": (1, 4),
    "short": (2, 1),
    "unsigned int": (4, 0),
    "long": (8, 1),
    "unsigned long": (8, 0),
}
"""Sizes and encodings of all but int, which make_base() has."""
SIZES = {"bpf_iter_odd": 12, "bpf_iter_none": 0}
"""Of structs; the others have 16 bytes."""
OWN_FUNCTION = "int vmlinux_has_it(int a)"


class Types:
    """Types and functions, added as they are asked for."""

    def __init__(self, builder: BtfBuilder) -> None:
        self.builder = builder
        self.known: dict[str, int] = {"void": 0}

    def of(self, spelt: str) -> int:
        """The id of a type: ``const struct s *``, ``fwd s`` that is only declared, ``func``."""
        spelt = spelt.strip()
        if spelt not in self.known:
            self.known[spelt] = self.make(spelt)
        return self.known[spelt]

    def make(self, spelt: str) -> int:
        b = self.builder
        if spelt.endswith("*"):
            return b.add_ref(Kind.PTR, self.of(spelt[:-1]))
        if spelt in INTS:
            size, encoding = INTS[spelt]
            return b.add_int(spelt, size, encoding=encoding)
        word, _, name = spelt.partition(" ")
        if word == "const":
            return b.add_ref(Kind.CONST, self.of(name))
        if word == "typedef":
            return b.add_ref(Kind.TYPEDEF, self.of(name), "a_typedef")
        if word in ("struct", "union"):
            member = [("member", self.of("int *" if name == "linked" else "int"), 0)]
            size = SIZES.get(name, 16)
            kind = Kind.STRUCT if word == "struct" else Kind.UNION
            return b.add_composite(kind, name, size, member if size else [])
        if word == "fwd":
            return b.add_fwd(name)
        if word == "float":
            return b.add_float("float", 4)
        if word == "func":
            return b.add_func_proto(0)
        assert spelt == "int"
        return b.add_int("int", 4, encoding=1)

    def function(self, declaration: str) -> int:
        """Add a function such as ``int f(void *p, int p__sz)``; ``...`` may come last."""
        match = DECLARATION.fullmatch(declaration)
        assert match is not None, declaration
        params = []
        for part in filter(None, map(str.strip, match["params"].split(","))):
            if part == "...":
                params.append(("", 0))
                continue
            parameter = PARAMETER.fullmatch(part)
            assert parameter is not None, part
            params.append((parameter["name"], self.of(parameter["type"])))
        proto = self.builder.add_func_proto(self.of(match["result"]), params)
        return self.builder.add_func(match["name"], proto)


def vmlinux(*others: str, relocates: bool = True) -> Btf:
    """A kernel's BTF with one function, and *others*."""
    members = ("btf_data", "btf_base_data") if relocates else ("btf_data",)
    base = make_base(module_members=members)
    types = Types(base)
    types.known["int"] = 1
    for declaration in (OWN_FUNCTION, *others):
        types.function(declaration)
    return base.build()


class Recipe(NamedTuple):
    """What a module is made of; it is linked and resolved as its parts say."""

    functions: Sequence[str] = ()
    set8s: Mapping[str, Sequence[tuple[str, str, int]]] = {}
    sets: Mapping[str, Sequence[tuple[str, str]]] = {}
    lists: Mapping[str, Sequence[tuple[str, str]]] = {}
    imports: Sequence[str] = ("register_btf_kfunc_id_set",)
    symbols: Sequence[ElfSymbol] = ()
    is_distilled: bool = False
    is_resolved: bool = True
    base: Btf = vmlinux()
    change: Callable[[list[int], BtfIds], None] | None = None
    """Spoils the words of the resolved section."""
    has_btf: bool = True
    byte_order: str = "little"
    release: str = "6.17.0-test"

    def but(self, **parts: Any) -> Recipe:
        """The same with other parts."""
        return self._replace(**parts)

    def make(self, name: str = "tiny") -> bytes:
        """The bytes of the module."""
        ids = make_ids(self.lists, self.sets, self.set8s, byte_order=self.byte_order)
        undefined = [ElfSymbol(imported, None) for imported in self.imports]
        ids = ids._replace(symbols=(*ids.symbols, *undefined, *self.symbols))
        distilled = make_base() if self.is_distilled else None
        split = BtfBuilder(distilled.build() if distilled else self.base, self.byte_order)
        types = Types(split)
        types.known["int"] = 1
        for declaration in self.functions:
            types.function(declaration)
        read = read_ids(ElfImage(make_module(ids=ids, byte_order=self.byte_order)))
        if read is not None and self.is_resolved:
            resolved = resolve_ids(read, split.build()).ids
            words = list(resolved.words)
            if self.change is not None:
                self.change(words, resolved)
            ids = ids._replace(data=resolved._replace(words=tuple(words)).to_bytes())
        return make_module(
            name,
            btf=split.to_bytes() if self.has_btf else None,
            btf_base=distilled.to_bytes() if distilled else None,
            ids=ids,
            byte_order=self.byte_order,
            release=self.release,
        )

    def module(self, name: str = "tiny") -> Module:
        """The module, which finds its base."""
        return Module(self.make(name), f"{name}.ko", find_base=lambda _: self.found)

    @property
    def found(self) -> Base:
        """The base, as commands find it."""
        return Base(self.base, "memory", None, None)


def kfunc(declaration: str, flags: int = 0, *others: str) -> Recipe:
    """A module with one kfunc in one set, beside *others* that are in none."""
    match = DECLARATION.fullmatch(declaration)
    assert match is not None, declaration
    return Recipe([declaration, *others], {"the_set": [("func", match["name"], flags)]})


ALIKE = [f"int f{n}(int a)" for n in range(3)]
FLAGS = (0, SLEEPABLE, TRUSTED_ARGS)
THREE = [("func", f"f{n}", flags) for n, flags in enumerate(FLAGS)]
SET = Recipe(ALIKE, {"the_set": THREE})
"""A module whose one set breaks no rule."""
