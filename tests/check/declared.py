# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF of kernels and modules that is declared in words, and what compare_deep says of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf import Btf, BtfBuilder, Kind, distill
from kbtf.check.rules.deep import compare_deep

if TYPE_CHECKING:
    from kbtf.findings.finding import Finding

Types = dict[str, int]
"""Ids by the names that a test uses."""


class Kernel:
    """A kernel's BTF made from declarations, told apart by the keyword that they begin with."""

    def __init__(self, *declarations: str) -> None:
        self.b = BtfBuilder(byte_order="little")
        self.ids: Types = {"void": 0}
        self.ids["int"] = self.b.add_int("int", 4, encoding=1)
        self.ids["char"] = self.b.add_int("char", 1, encoding=1)
        self.ids["long"] = self.b.add_int("long", 8, encoding=1)
        for declaration in declarations:
            self.declare(declaration)
        self.btf = self.b.build()

    def declare(self, text: str) -> None:
        """``struct s 8: int a 0, char b 32:3``, ``ptr p s``, ``enum e 4: A 1``, and so on.

        A name that begins with ``_`` is an id for the test; the type itself has none.
        """
        head, _, body = text.partition(":")
        word, name, *rest = head.split()
        items = [item.split() for item in body.split(",") if item.strip()]
        own = "" if name.startswith("_") else name
        self.ids[f"{word} {name}" if name in self.ids else name] = self._add(word, own, rest, items)

    def _add(self, word: str, name: str, rest: list[str], items: list[list[str]]) -> int:
        b, ids = self.b, self.ids
        if word in ("struct", "union"):
            members: list[Any] = [
                ("" if member == "-" else member, ids[type_name], *map(int, at.split(":")))
                for type_name, member, at in items
            ]
            return b.add_composite(Kind[word.upper()], name, int(rest[0]), members)
        if word == "enum":
            return b.add_enum(name, int(rest[0]), [(key, int(value)) for key, value in items])
        if word == "array":
            return b.add_array(ids[rest[0]], ids["int"], int(rest[1]))
        if word == "proto":
            return b.add_func_proto(ids[rest[0]], [("x", ids[param]) for param in rest[1:]])
        if word == "fwd":
            return b.add_fwd(name)
        return b.add_ref(Kind[word.upper()], ids[rest[0]], name if word == "typedef" else "")


def module(kernel: Kernel, *uses: str) -> Btf:
    """Split BTF that uses types of the kernel: ``ptr s``, ``member s``, ``param s``, ..."""
    s = BtfBuilder(kernel.btf)
    for use in uses:
        word, name = use.split()
        target = kernel.ids[name]
        if word == "ptr":
            s.add_func("probe", s.add_func_proto(0, [("x", s.add_ref(Kind.PTR, target))]))
        elif word == "member":
            s.add_composite(Kind.STRUCT, "priv", 64, [("in", target, 0)])
        elif word == "param":
            s.add_func("take", s.add_func_proto(0, [("x", target)]))
        elif word == "result":
            s.add_func("give", s.add_func_proto(target))
        elif word == "var":
            s.add_var("state", target)
        elif word == "array":
            s.add_var("states", s.add_ref(Kind.PTR, s.add_array(target, 1, 4)))
        elif word == "typedef":
            s.add_ref(Kind.TYPEDEF, target, "mine")
        elif word == "typedef-ptr":
            alias = s.add_ref(Kind.TYPEDEF, target, "mine")
            s.add_func("probe", s.add_func_proto(0, [("x", s.add_ref(Kind.PTR, alias))]))
        else:
            raise AssertionError(use)
    return s.build()


def compare(old: Kernel, new: Kernel, *uses: str) -> list[Finding]:
    return compare_deep(module(old, *uses), old.btf, new.btf)


def lines(findings: list[Finding]) -> list[str]:
    return [f"{finding.code} {finding.text}" for finding in findings]


def changes(old: tuple[str, ...], new: tuple[str, ...], use: str = "ptr s") -> list[str]:
    """The findings, which are those of the distilled module too."""
    one, two = Kernel(*old), Kernel(*new)
    split = module(one, use)
    found = compare_deep(split, one.btf, two.btf)
    assert compare_deep(distill(split).split, one.btf, two.btf) == found
    assert compare_deep(split, one.btf, one.btf) == []
    return lines(found)
