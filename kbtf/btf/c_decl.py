"""Declarations and definitions of single types in C."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbtf.btf.c_layout import Layout, Padding
from kbtf.btf.c_names import Names, identifier, is_c_scalar, keyword, scalar_alias
from kbtf.btf.c_order import COMPOSITES, ENUMS, Types, fault
from kbtf.btf.kinds import Kind

if TYPE_CHECKING:
    from kbtf.btf.btf import BtfType, Member

_QUALIFIERS = {Kind.CONST: "const", Kind.VOLATILE: "volatile", Kind.RESTRICT: "restrict"}
_MAX_NESTING = 64
_MIN_NESTED = 65536
_ATTRIBUTE = re.compile(r"\w+(\([\w, ]*\))?", re.ASCII)
_TAG_TEXT = re.compile(r"[\w .,:()*&<>=-]+", re.ASCII)
_ENUM_MODES = {1: "QI", 2: "HI", 8: "DI"}


class Writer:
    """Writes types whose names and sizes are known."""

    def __init__(self, types: Types, names: Names, layout: Layout) -> None:
        self._types = types
        self._names = names
        self._layout = layout
        self._nesting = 0
        self._nested = 0
        # a member takes 12 bytes, so that this is far more than is needed without repetition
        self._max_nested = _MIN_NESTED + types.byte_len()
        self._gaps = 0

    def definition(self, t: BtfType) -> str:
        """The whole of a type that stands for itself; empty where the compiler has it."""
        if t.kind in COMPOSITES:
            self._gaps = 0
            return f"{self._composite(t, self._names.tag(t), 0)};\n\n"
        if t.kind in ENUMS:
            return f"{self._enum(t, self._names.tag(t) if t.name else 'enum', 0)};\n\n"
        if t.kind is Kind.TYPEDEF:
            return self._typedef(t)
        if t.kind in (Kind.INT, Kind.FLOAT) and not is_c_scalar(t):
            return f"typedef {scalar_alias(t)} {self._names.ident(t)};\n\n"
        return ""

    def _typedef(self, t: BtfType) -> str:
        if t.name == "__builtin_va_list":
            return ""  # the compiler has it
        if t.name == "__gnuc_va_list" and t.size_or_type == 0:
            return "typedef __builtin_va_list __gnuc_va_list;\n\n"  # old GCCs say void in DWARF
        return f"typedef {self.declare(t.size_or_type, self._names.ident(t))};\n\n"

    def declare(self, type_id: int, name: str, indent: int = 0) -> str:
        """Declare *name*, which may be empty, to be of a type.

        The way is from the name outwards: arrays and parameters gather to its right, pointers to
        its left, until a type is reached that stands before it all.
        """
        left: list[str] = []
        right: list[str] = []
        qualifiers: list[str] = []
        tags: list[str] = []
        after_pointer = False
        t = self._types[type_id]
        while True:
            if t.kind in _QUALIFIERS:
                qualifiers.append(_QUALIFIERS[t.kind])
            elif t.kind is Kind.TYPE_TAG:
                tags += _tag_attribute(t)
            elif t.kind is Kind.PTR:
                left.append("".join(["*", *(f"{word} " for word in qualifiers + tags)]))
                qualifiers, tags = [], []
                after_pointer = True
            elif t.kind in (Kind.ARRAY, Kind.FUNC_PROTO):
                if after_pointer:
                    left.append("(")
                    right.append(")")
                # GCC puts qualifiers on arrays and on functions that do not return
                qualifiers, tags = [], []
                after_pointer = False
                is_array = t.kind is Kind.ARRAY
                right.append(f"[{t.words[2]}]" if is_array else f"({self._params(t, indent)})")
            else:
                break
            t = self._types[t.words[0] if t.kind is Kind.ARRAY else t.size_or_type]
        before = " ".join([*qualifiers, self._base(t, indent), *tags])
        rest = "".join([*reversed(left), name, *right]).rstrip()
        return f"{before} {rest}" if rest else before

    def _base(self, t: BtfType, indent: int) -> str:
        """A type that needs nothing to the right of a name."""
        if t.kind in COMPOSITES and not t.name:
            return self._composite(t, keyword(t), indent)
        if t.kind in ENUMS and not t.name:
            return self._enum(t, "enum", indent)
        if t.kind is Kind.TYPEDEF:
            return t.name if t.name == "__builtin_va_list" else self._names.ident(t)
        if t.kind in (Kind.INT, Kind.FLOAT):
            return self._names.scalar(t)
        return "void" if t.kind is Kind.UNKN else self._names.tag(t)

    def _params(self, t: BtfType, indent: int) -> str:
        params = t.params
        if not params or (len(params) == 1 and params[0].type == 0):
            return "void"
        self._enter(t)
        names = set()
        parts = []
        for param in params:
            # what inlining leaves of a function may have a name twice
            name = identifier(param.name) if param.name and param.name not in names else ""
            names.add(param.name)
            parts.append(self.declare(param.type, name, indent))
        if params[-1].type == 0:
            parts[-1] = "..."
        self._nesting -= 1
        return ", ".join(parts)

    def _composite(self, t: BtfType, head: str, indent: int) -> str:
        self._enter(t)
        tabs = "\t" * (indent + 1)
        lines = [f"{head} {{"]
        for part in self._layout.parts(t):
            text = (
                self._padding(part) if isinstance(part, Padding) else self._member(part, indent + 1)
            )
            lines.append(f"{tabs}{text};")
        self._nesting -= 1
        end = "}" if len(lines) == 1 else "\n" + "\t" * indent + "}"
        packed = " __attribute__((packed))" if self._layout[t.id].packed else ""
        return "\n".join(lines) + end + packed

    def _member(self, member: Member, indent: int) -> str:
        if member.name:
            width = f" : {member.bit_size}" if member.bit_size else ""
            return self.declare(member.type, identifier(member.name), indent) + width
        # -fms-extensions allows `struct s;` with a name; its members written out do everywhere
        t = self._types.behind_names(member.type)
        return self._composite(t, keyword(t), indent)

    def _padding(self, part: Padding) -> str:
        if not part.array:
            return f"{part.type} : {part.bits}"
        self._gaps += 1  # anonymous structs share the names of what they are in
        return f"{part.type} __gap_{self._gaps}[{part.bits // 8}]"

    def _enum(self, t: BtfType, head: str, indent: int) -> str:
        self._enter(t)
        tabs = "\t" * (indent + 1)
        name = self._names.enumerator
        lines = [f"{tabs}{name(key)} = {_number(value)}," for key, value in t.enumerators]
        if not lines:  # as in a distilled base; C wants one
            lines = [f"{tabs}{name(f'__{t.name}_{t.id}_has_no_values')} = 0,"]
        self._nesting -= 1
        return "\n".join([f"{head} {{", *lines, "\t" * indent + "}"]) + _enum_mode(t)

    def _enter(self, t: BtfType) -> None:
        """Small BTF can mean endless C, where prototypes or anonymous structs hold others."""
        self._nesting += 1
        self._nested += 1 + t.vlen
        if self._nesting > _MAX_NESTING:
            raise fault(t, "nested too deeply to be written in C")
        if self._nested > self._max_nested:
            raise fault(t, "anonymous types hold each other too often to be written in C")


def _tag_attribute(t: BtfType) -> list[str]:
    """With kind_flag the text is an attribute itself (since kernel 6.15)."""
    if t.kind_flag:
        return [f"__attribute__(({t.name}))"] if _ATTRIBUTE.fullmatch(t.name) else []
    if not _TAG_TEXT.fullmatch(t.name):
        return []
    return [f'__attribute__((btf_type_tag("{t.name}")))']


def _number(value: int) -> str:
    if _fits_32_bits(value):
        return str(value)
    if value == -(1 << 63):
        return f"({value + 1}LL - 1)"  # C reads a minus and a number that is too large
    return f"{value}LL" if value < 0 else f"{value}ULL"


def _fits_32_bits(value: int) -> bool:
    return -(1 << 31) <= value < 1 << 32


def _enum_mode(t: BtfType) -> str:
    """An attribute where a compiler would not give the enum its size by itself."""
    mode = _ENUM_MODES.get(t.size_or_type)
    large = any(not _fits_32_bits(value) for _, value in t.enumerators)
    if mode is None or (mode == "DI" and large):
        return ""
    return f" __attribute__((mode({mode})))"
