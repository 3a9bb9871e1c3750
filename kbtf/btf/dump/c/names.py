# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Names of types and members in C, which must be unique within a scope."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbtf.btf.dump.c.scalars import is_c_name
from kbtf.btf.kinds import Kind

if TYPE_CHECKING:
    from kbtf.btf.btf import BtfType
    from kbtf.btf.dump.c.order import Types

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_KEYWORDS = frozenset([
    "alignas", "alignof", "asm", "auto", "bool", "break", "case", "char", "const", "constexpr",
    "continue", "default", "do", "double", "else", "enum", "extern", "false", "float", "for",
    "goto", "if", "inline", "int", "long", "nullptr", "register", "restrict", "return", "short",
    "signed", "sizeof", "static", "static_assert", "struct", "switch", "thread_local", "true",
    "typedef", "typeof", "typeof_unqual", "union", "unsigned", "void", "volatile", "while",
    "_Alignas", "_Alignof", "_Atomic", "_BitInt", "_Bool", "_Complex", "_Decimal128",
    "_Decimal32", "_Decimal64", "_Generic", "_Imaginary", "_Noreturn", "_Static_assert",
    "_Thread_local", "_Float128", "_Float16", "_Float32", "_Float32x", "_Float64", "_Float64x",
    "__bf16", "__float128", "__int128", "__alignof", "__alignof__", "__asm", "__asm__",
    "__attribute", "__attribute__", "__auto_type", "__builtin_va_list", "__complex__", "__const",
    "__const__", "__extension__", "__imag__", "__inline", "__inline__", "__label__", "__real__",
    "__restrict", "__restrict__", "__signed", "__signed__", "__thread", "__typeof", "__typeof__",
    "__volatile", "__volatile__",
])  # fmt: skip
"""Keywords of C23, and the compilers' own."""

BOOL = "bool"


def is_c_identifier(name: str) -> bool:
    """Whether C allows that name."""
    return _IDENTIFIER.fullmatch(name) is not None and name not in _KEYWORDS


def identifier(name: str) -> str:
    """*name*, or something similar if C does not allow it."""
    if is_c_identifier(name):
        return name
    return "_" + re.sub(r"\W", "_", name, flags=re.ASCII)


class Scope:
    """Names that must differ; the substitute for an illegal name never equals another name."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}

    def reserve(self, name: str) -> None:
        """Let nothing use *name*."""
        self._used.add(name)

    def has(self, name: str) -> bool:
        """Whether *name* is in use."""
        return name in self._used

    def add(self, name: str) -> str:
        """The C name for *name* in BTF: the same, or with ``___2`` and so on appended."""
        wanted = identifier(name)
        if wanted == name and name not in self._used:
            self._used.add(name)
            return name
        number = self._counts.get(wanted, 0 if wanted != name else 1)
        while True:
            number += 1
            found = wanted if number == 1 else f"{wanted}___{number}"
            if found not in self._used and not self._types.has_string(found):
                break
        self._counts[wanted] = number
        self._used.add(found)
        return found

    def add_numbered(self, stem: str) -> str:
        """A new name: *stem* and the first number that is free."""
        number = self._counts.get(stem, 0) + 1
        while self._types.has_string(f"{stem}{number}"):
            number += 1
        self._counts[stem] = number
        return f"{stem}{number}"


class Names:
    """Gives each type its name when it is first asked for; the second of a name gets ``___2``.

    Structs, unions and enums share one space, typedefs and enumerators another.
    """

    def __init__(self, types: Types, pointer: int) -> None:
        self._types = types
        self._pointer = pointer
        self._tags = Scope(types)
        self._idents = Scope(types)
        self._by_id: dict[int, str] = {}
        self._fwds: dict[tuple[str, str], str] = {}
        self._chosen: dict[int, list[str]] = {}

    def function(self, name: str) -> str:
        """The name of a function, reserved from then on."""
        found = identifier(name)
        self._idents.reserve(found)
        return found

    def tag(self, t: BtfType) -> str:
        """``struct name`` and the like, for a type that has a name, or for a FWD."""
        found = self._by_id.get(t.id)
        if found is None:
            found = self._by_id[t.id] = self._new_fwd(t) if t.kind is Kind.FWD else self._new_tag(t)
        return found

    def _new_tag(self, t: BtfType) -> str:
        return f"{t.keyword} {self._tags.add(_name(t))}"

    def _new_fwd(self, t: BtfType) -> str:
        full = self._types.behind_fwd(t)
        if full is not None:
            return self.tag(full)
        # the base and its split BTF may each have one for the same type
        key = (t.keyword, t.name)
        if key not in self._fwds:
            self._fwds[key] = self._new_tag(t)
        return self._fwds[key]

    def ident(self, t: BtfType) -> str:
        """The name of a typedef, or of the typedef for an INT or FLOAT that C does not know."""
        found = self._by_id.get(t.id)
        if found is None:
            found = self._by_id[t.id] = self._new_ident(t)
        return found

    def _new_ident(self, t: BtfType) -> str:
        if self._types.is_bool(t) and not self._idents.has(BOOL):
            self._idents.reserve(BOOL)
            return BOOL
        return self._idents.add(_name(t))

    def enumerators(self, t: BtfType) -> list[str]:
        """The names of an enum's values; an anonymous enum may have been written before."""
        chosen = self._chosen.pop(t.id, None)
        return chosen if chosen is not None else [self._idents.add(e.name) for e in t.enumerators]

    def only_enumerator(self, t: BtfType) -> str:
        """One for an enum without values."""
        return self._idents.add(f"__{t.name}_{t.id}_has_no_values")

    def choose_enumerators(self, t: BtfType) -> None:
        """Name the values of an enum before it is written."""
        self._chosen[t.id] = self.enumerators(t)

    def forget_chosen(self) -> None:
        """The chosen name stays reserved, but is not written again."""
        self._chosen.clear()

    def scalar(self, t: BtfType) -> str:
        """An INT or FLOAT."""
        return t.name if is_c_name(t, self._pointer) else self.ident(t)

    def is_type(self, name: str) -> bool:
        """Whether *name* is that of a typedef or of something else in their namespace."""
        return self._idents.has(name)


def _name(t: BtfType) -> str:
    return t.name or f"_{t.kind.name.lower()}_{t.id}"
