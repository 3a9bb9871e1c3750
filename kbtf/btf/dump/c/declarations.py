# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""C declarations and definitions of single types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbtf.btf.dump.c.layout import Layout, Padding
from kbtf.btf.dump.c.names import BOOL, Names, Scope, identifier
from kbtf.btf.dump.c.order import Types, fault
from kbtf.btf.dump.c.scalars import alias, is_c_name
from kbtf.btf.kinds import COMPOSITES, ENUMS, Kind

if TYPE_CHECKING:
    from kbtf.btf.btf import BtfType, Member

_QUALIFIERS = {Kind.CONST: "const", Kind.VOLATILE: "volatile", Kind.RESTRICT: "restrict"}
_MAX_NESTING = 64
_MIN_NESTED = 65536
_TEXT_BY_ITEM = 16  # characters
_ATTRIBUTE = re.compile(r"(\w+)(\([\w, ]*\))?", re.ASCII)
_OF_LAYOUT = re.compile(
    r"_*(aligned|packed|mode|(ext_)?vector_size|scalar_storage_order|(ms|gcc)_struct)_*"
)
_ENUM_MODES = {1: "QI", 2: "HI", 8: "DI"}
_FALSE_AND_TRUE = {("false", 0), ("true", 1)}
_BEFORE_C23 = "#if !defined(__STDC_VERSION__) || __STDC_VERSION__ <= 201710L\n"
_VA_LISTS = ("__builtin_va_list", "__gnuc_va_list")


class Writer:
    """Writes types whose names and sizes are known."""

    def __init__(self, types: Types, names: Names, layout: Layout, pointer: int) -> None:
        self._types = types
        self._names = names
        self._layout = layout
        self._pointer = pointer
        self._records = 0
        self._nesting = 0
        self._nested = 0
        # a member takes 12 bytes, so this is far more than types without repetition need
        self._max_nested = _MIN_NESTED + types.byte_len()

    def take_records(self) -> int:
        """The number of structs and unions written since the last call."""
        found, self._records = self._records, 0
        return found

    def definition(self, t: BtfType) -> str:
        """The full text of a type on its own; empty if the compiler defines it."""
        if t.kind in COMPOSITES:
            return f"{self._composite(t, self._names.tag(t), 0)};\n\n"
        if t.kind in ENUMS:
            return self._enum_definition(t)
        if t.kind is Kind.TYPEDEF:
            return self._typedef(t)
        if t.kind in (Kind.INT, Kind.FLOAT) and not is_c_name(t, self._pointer):
            return f"typedef {alias(t, self._pointer)} {self._names.ident(t)};\n\n"
        return ""

    def _enum_definition(self, t: BtfType) -> str:
        if not t.name and set(t.enumerators) == _FALSE_AND_TRUE:
            return f"{_BEFORE_C23}enum {{\n\tfalse = 0,\n\ttrue = 1,\n}};\n#endif\n\n"
        return f"{self._enum(t, self._names.tag(t) if t.name else 'enum', 0)};\n\n"

    def _typedef(self, t: BtfType) -> str:
        name = self._names.ident(t)
        if t.name in _VA_LISTS and t.size_or_type == 0:
            return f"typedef __builtin_va_list {name};\n\n"  # old GCCs say void in DWARF
        text = f"typedef {self.declare(t.size_or_type, name)};\n"
        return f"{_BEFORE_C23}{text}#endif\n\n" if name == BOOL else f"{text}\n"

    def declare(self, type_id: int, name: str, indent: int = 0) -> str:
        """Declare *name*, which may be empty, to be of a type.

        This works from the name outwards: arrays and parameters are added to its right, pointers
        to its left, until a type is reached that precedes everything.
        """
        left: list[str] = []
        right: list[str] = []
        words = _Words()
        t, outer = self._types[type_id], Kind.UNKN
        while True:
            self._count(t, 1)
            if t.kind in _QUALIFIERS:
                words.qualifiers.append(_QUALIFIERS[t.kind])
            elif t.kind is Kind.TYPE_TAG:
                words.tags += _tag_attribute(t)
            elif t.kind is Kind.PTR:
                left.append("".join(["*", *(f"{word} " for word in words.of_pointer())]))
                words, outer = _Words(), Kind.PTR
            elif t.kind in (Kind.ARRAY, Kind.FUNC_PROTO):
                if Kind.FUNC_PROTO in (t.kind, outer) and outer in (Kind.ARRAY, Kind.FUNC_PROTO):
                    raise fault(t, "an array or function of these, which C does not have")
                if outer is Kind.PTR:
                    left.append("(")
                    right.append(")")
                # GCC puts qualifiers on arrays and on functions that do not return
                words, outer = _Words(), t.kind
                is_array = t.kind is Kind.ARRAY
                right.append(f"[{t.words[2]}]" if is_array else f"({self._params(t, indent)})")
            else:
                break
            t = self._types[t.words[0] if t.kind is Kind.ARRAY else t.size_or_type]
        if "restrict" in words.qualifiers and self._types.behind_names(t.id).kind is not Kind.PTR:
            words.qualifiers = [word for word in words.qualifiers if word != "restrict"]
        before = words.around(self._base(t, indent))
        rest = "".join([*reversed(left), name, *right]).rstrip()
        text = f"{before} {rest}" if rest else before
        self._count(t, len(text) // _TEXT_BY_ITEM)
        return text

    def _base(self, t: BtfType, indent: int) -> str:
        """A type that needs nothing to the right of a name."""
        if t.kind in COMPOSITES and not t.name:
            return self._composite(t, t.keyword, indent)
        if t.kind in ENUMS and not t.name:
            return self._enum(t, "enum", indent)
        if t.kind is Kind.TYPEDEF:
            return self._names.ident(t)
        if t.kind in (Kind.INT, Kind.FLOAT):
            return self._names.scalar(t)
        return "void" if t.kind is Kind.UNKN else self._names.tag(t)

    def _params(self, t: BtfType, indent: int) -> str:
        params = t.params
        if not params or (len(params) == 1 and params[0].type == 0):
            return "void"
        self._enter(t)
        names = {""}
        parts: list[str] = []
        for param in params:
            if not param.type and len(parts) + 1 < len(params):
                raise fault(t, "has a parameter of type void")
            # inlining can leave a function with a repeated parameter name; a type's name hides it
            name = identifier(param.name) if param.name else ""
            own = name not in names and not self._names.is_type(name)
            names.add(name)
            parts.append(self.declare(param.type, name if own else "", indent))
        if params[-1].type == 0:
            parts[-1] = "..."
        self._nesting -= 1
        return ", ".join(parts)

    def _composite(self, t: BtfType, head: str, indent: int, outside: Scope | None = None) -> str:
        """*outside* has the names around an anonymous member, which its own must not repeat."""
        self._enter(t)
        self._records += 1
        scope = outside or Scope(self._types)
        tabs = "\t" * (indent + 1)
        lines = [f"{head} {{"]
        for part in self._layout.parts(t):
            text = (
                _padding(part, scope)
                if isinstance(part, Padding)
                else self._member(part, indent + 1, scope)
            )
            lines.append(f"{tabs}{text};")
        self._nesting -= 1
        end = "}" if len(lines) == 1 else "\n" + "\t" * indent + "}"
        return "\n".join(lines) + end + self._packed(t)

    def _packed(self, t: BtfType) -> str:
        _, align, packed = self._layout[t.id]
        if not packed:
            return ""
        aligned = f", aligned({align.low})" if align.low > 1 else ""
        return f" __attribute__((packed{aligned}))"

    def _member(self, member: Member, indent: int, scope: Scope) -> str:
        if member.name:
            width = f" : {member.bit_size}" if member.bit_size else ""
            return self.declare(member.type, scope.add(member.name), indent) + width
        # `struct s;` as a member needs -fms-extensions; its members written out always compile
        t = self._types.behind_names(member.type)
        return self._composite(t, t.keyword, indent, scope)

    def _enum(self, t: BtfType, head: str, indent: int) -> str:
        self._enter(t)
        _check_enum(t)
        tabs = "\t" * (indent + 1)
        pairs = zip(self._names.enumerators(t), t.enumerators, strict=True)
        lines = [f"{tabs}{name} = {_number(value)}," for name, (_, value) in pairs]
        if not lines:  # as in a distilled base; C requires one
            lines = [f"{tabs}{self._names.only_enumerator(t)} = 0,"]
        self._nesting -= 1
        return "\n".join([f"{head} {{", *lines, "\t" * indent + "}"]) + _enum_mode(t)

    def _enter(self, t: BtfType) -> None:
        """Small BTF can expand to endless C, if prototypes or anonymous structs nest."""
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            raise fault(t, "nested too deeply to be written in C")
        self._count(t, 1 + t.vlen)

    def _count(self, t: BtfType, items: int) -> None:
        """Count the text written, because types can repeat the same others many times."""
        self._nested += items
        if self._nested > self._max_nested:
            raise fault(t, "types hold each other too often to be written in C")


class _Words:
    """The text between two pointers, from the name outwards."""

    def __init__(self) -> None:
        self.qualifiers: list[str] = []
        self.tags: list[str] = []

    def of_pointer(self) -> list[str]:
        """After a ``*``."""
        return [*self.qualifiers, *reversed(self.tags)]

    def around(self, base: str) -> str:
        """With the name of a type; compilers chain tags from the last one backwards."""
        return " ".join([*self.qualifiers, base, *reversed(self.tags)])


def _padding(part: Padding, scope: Scope) -> str:
    if not part.array:
        return f"{part.type} : {part.bits}"
    return f"{part.type} {scope.add_numbered('__gap_')}[{part.bits // 8}]"


def _tag_attribute(t: BtfType) -> list[str]:
    """With kind_flag the text is an attribute itself (since kernel 6.15)."""
    if not t.kind_flag:
        return [f'__attribute__((btf_type_tag("{_escaped(t.name)}")))']
    match = _ATTRIBUTE.fullmatch(t.name)
    if match is None or _OF_LAYOUT.fullmatch(match[1]):
        return []  # BTF has the layout already
    return [f"__attribute__(({t.name}))"]


def _escaped(text: str) -> str:
    """As a string literal of C has it."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}"
        for byte in text.encode("utf-8", "surrogateescape")
    )


def _number(value: int) -> str:
    if _fits_32_bits(value):
        return str(value)
    if value == -(1 << 63):
        return f"({value + 1}LL - 1)"  # C parses this as a minus and a number that is too large
    return f"{value}LL" if value < 0 else f"{value}ULL"


def _fits_32_bits(value: int) -> bool:
    return -(1 << 31) <= value < 1 << 32


def _check_enum(t: BtfType) -> None:
    """Whether the values fit into the size, which may be unknown if there are none."""
    values = [value for _, value in t.enumerators]
    bits = 8 * t.size_or_type
    if not values and not bits:
        return
    low, high = min(values, default=0), max(values, default=0)
    signed = low < 0
    fits = bits in (8, 16, 32, 64) and low >= -(1 << bits - 1) and high < 1 << bits - signed
    if not fits:
        raise fault(t, f"its values do not fit into {t.size_or_type} bytes, as they must in C")


def _enum_mode(t: BtfType) -> str:
    """An attribute, if the compiler would otherwise choose another size for the enum."""
    mode = _ENUM_MODES.get(t.size_or_type)
    large = any(not _fits_32_bits(value) for _, value in t.enumerators)
    if mode is None or (mode == "DI" and large):
        return ""
    return f" __attribute__((mode({mode})))"
