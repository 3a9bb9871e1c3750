"""What types are called in C, where two of one name cannot stand beside each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbtf.btf.c_order import ENUMS
from kbtf.btf.kinds import Kind

if TYPE_CHECKING:
    from kbtf.btf.btf import BtfType
    from kbtf.btf.c_order import Types

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_KEYWORDS = frozenset(
    [
        "asm",
        "auto",
        "break",
        "case",
        "char",
        "const",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "extern",
        "float",
        "for",
        "goto",
        "if",
        "inline",
        "int",
        "long",
        "register",
        "restrict",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "struct",
        "switch",
        "typedef",
        "typeof",
        "union",
        "unsigned",
        "void",
        "volatile",
        "while",
    ]
)
_SCALAR_WORDS = frozenset(
    [
        "signed",
        "unsigned",
        "char",
        "short",
        "int",
        "long",
        "__int128",
        "_Bool",
        "float",
        "double",
        "_Complex",
    ]
)
_FLOATS = frozenset(
    [
        "_Float16",
        "_Float32",
        "_Float32x",
        "_Float64",
        "_Float64x",
        "_Float128",
        "__float128",
        "__bf16",
    ]
)
_INTS_BY_SIZE = {1: "char", 2: "short", 4: "int", 8: "long long", 16: "__int128"}
_FLOATS_BY_SIZE = {
    2: "_Float16", 4: "float", 8: "double", 12: "long double", 16: "long double",
}  # fmt: skip


def identifier(name: str) -> str:
    """*name*, or something near it where C does not allow that name."""
    if _IDENTIFIER.fullmatch(name) and name not in _KEYWORDS:
        return name
    return "_" + re.sub(r"\W", "_", name, flags=re.ASCII)


def keyword(t: BtfType) -> str:
    """The word before the name of a struct, union or enum."""
    if t.kind in ENUMS:
        return "enum"
    return "union" if t.kind is Kind.UNION or (t.kind is Kind.FWD and t.kind_flag) else "struct"


class Names:
    """Gives each type its name when it is first asked for; the second of a name gets ``___2``.

    Structs, unions and enums share one space, typedefs and enumerators another.
    """

    def __init__(self, types: Types, reserved: set[str]) -> None:
        self._types = types
        self._tags: set[str] = set()
        self._idents = set(reserved)
        self._counts: dict[tuple[bool, str], int] = {}
        self._by_id: dict[int, str] = {}
        self._fwds: dict[tuple[str, str], str] = {}

    def tag(self, t: BtfType) -> str:
        """``struct name`` and the like, for a type that has a name, or for a FWD."""
        found = self._by_id.get(t.id)
        if found is None:
            found = self._by_id[t.id] = self._new_fwd(t) if t.kind is Kind.FWD else self._new_tag(t)
        return found

    def _new_tag(self, t: BtfType) -> str:
        return f"{keyword(t)} {self._unique(self._tags, t)}"

    def _new_fwd(self, t: BtfType) -> str:
        full = self._types.behind_fwd(t)
        if full is not None:
            return self.tag(full)
        # several may stand for the same thing, in the base and in what is split from it
        key = (keyword(t), t.name)
        if key not in self._fwds:
            self._fwds[key] = self._new_tag(t)
        return self._fwds[key]

    def ident(self, t: BtfType) -> str:
        """The name of a typedef or of what stands for an INT or FLOAT that C does not know."""
        found = self._by_id.get(t.id)
        if found is None:
            found = self._by_id[t.id] = self._unique(self._idents, t)
        return found

    def enumerator(self, name: str) -> str:
        """A new enumerator; it may have been written before, with an enum that has no name."""
        return self._unique_name(self._idents, name)

    def scalar(self, t: BtfType) -> str:
        """An INT or FLOAT."""
        return t.name if is_c_scalar(t) else self.ident(t)

    def _unique(self, space: set[str], t: BtfType) -> str:
        return self._unique_name(space, t.name or f"_{t.kind.name.lower()}_{t.id}")

    def _unique_name(self, space: set[str], name: str) -> str:
        wanted = identifier(name)
        key = (space is self._tags, wanted)
        count = self._counts.get(key, 0) + 1
        found = wanted if count == 1 else f"{wanted}___{count}"
        while found in space:
            count += 1
            found = f"{wanted}___{count}"
        self._counts[key] = count
        space.add(found)
        return found


def is_c_scalar(t: BtfType) -> bool:
    """An INT or FLOAT whose name is that of a C type."""
    return t.name in _FLOATS or (bool(t.name) and _SCALAR_WORDS.issuperset(t.name.split(" ")))


def scalar_alias(t: BtfType) -> str:
    """A C type for an INT or FLOAT whose name C does not know, such as arm64's __Poly8_t."""
    size = t.size_or_type
    encoding = t.int_encoding
    if encoding is None:
        return _FLOATS_BY_SIZE.get(size, f"struct {{ unsigned char bytes[{size}]; }}")
    if size not in _INTS_BY_SIZE:
        return f"struct {{ unsigned char bytes[{size}]; }}"
    if encoding.bool and size == 1:
        return "_Bool"
    return f"{'signed' if encoding.signed else 'unsigned'} {_INTS_BY_SIZE[size]}"
