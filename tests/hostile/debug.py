# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Modules of less than 1 MB whose debug sections cost as much as they can."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from hostile.dwarf import (
    AFTER_INT,
    ALLOC,
    ANNOTATION,
    ARRAY,
    ATOMIC,
    BITS,
    BLOCK,
    BLOCK4,
    COMPILE_UNIT,
    COMPRESSED,
    CONST,
    CONST_VALUE,
    COUNT,
    DATA1,
    ENUM,
    ENUMERATOR,
    EXPRLOC,
    EXTERNAL,
    FIRST,
    FLAG_PRESENT,
    FUNC,
    GNU_ANNOTATION,
    HEAD,
    INDIRECT,
    INT,
    INT_DIE,
    LOCATION,
    MEMBER,
    NAME,
    NOTE,
    OBJECT,
    ONE_FUNCTION,
    ORIGIN,
    PARAMETER,
    POINTER,
    PRODUCER,
    PROTO,
    REF4,
    REF_ADDR,
    REF_UDATA,
    RELA,
    ROOT,
    SEC_OFFSET,
    SIZE,
    SKELETON_UNIT,
    SPECIFICATION,
    STRING,
    STRP,
    STRUCT,
    SUBPROGRAM,
    SUBRANGE,
    SYMTAB,
    TYPE,
    TYPEDEF,
    UDATA,
    VARIABLE,
    Section,
    abbreviation,
    children,
    dwarf,
    repeated,
    symbols,
    uleb,
    unit,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def suffixes() -> list[Section]:
    """Typedefs named by the suffixes of one long string."""
    table = ROOT + abbreviation(3, TYPEDEF, NAME, STRP)
    dies = b"".join(b"\3" + struct.pack("<I", n) for n in range(60_000))
    return dwarf(table, unit(dies), str=b"a" * 65_000 + b"\0")


def one_long_name(tag: int) -> list[Section]:
    """Very many DIEs of one name, which is as long as can be."""
    table = ROOT + abbreviation(3, tag, NAME, STRP)
    return dwarf(table, unit(bytes([3, 0, 0, 0, 0]) * 85_000), str=b"a" * 500_000 + b"\0")


def units(*, kind: int = 1, more: bytes = b"", dies: bytes = b"") -> list[Section]:
    """As many units as there is room for, all of one long name."""
    tag = SKELETON_UNIT if kind == 4 else COMPILE_UNIT
    table = abbreviation(1, tag, NAME, STRP, PRODUCER, STRP, children=bool(dies)) + more
    one = unit(dies, kind=kind, start=b"\1" + bytes(8))
    return dwarf(table, one * (400_000 // len(one)), str=b"a" * 60_000 + b"\0" * 8)


def mixed_units() -> list[Section]:
    """As many units as there is room for, of which BTF can express the first only."""
    table = ROOT + INT + abbreviation(3, ATOMIC)
    bad = unit(b"\3\0")
    return dwarf(table, unit(INT_DIE) + bad * (900_000 // len(bad)))


def tables_in_turn(*attributes: int) -> list[Section]:
    """Units that turn between two tables of very many abbreviations."""
    more = b"".join(abbreviation(n, CONST, *attributes) for n in range(2, 30_000))
    table = ROOT + more + b"\0"
    pair = unit(b"") + unit(b"", len(table))
    return dwarf(table + ROOT + more, pair * (300_000 // len(pair)))


def flags() -> list[Section]:
    """DIEs of one byte, and an abbreviation with one attribute very often."""
    table = ROOT + abbreviation(3, VARIABLE, *[EXTERNAL, FLAG_PRESENT] * 128)
    return dwarf(table, unit(b"\3" * 900_000))


def nested(*, end: bytes) -> list[Section]:
    """Blocks in blocks."""
    table = ROOT + abbreviation(3, BLOCK, children=True)
    table += abbreviation(4, SUBPROGRAM, NAME, STRING, children=True)
    return dwarf(table, unit(b"\4f\0" + b"\3" * 450_000 + end))


def symbols_of_suffixes(kind: int, text: bytes = b"a" * 500_000) -> list[Section]:
    """Symbols named by the suffixes of one long string."""
    table = ROOT + INT + abbreviation(3, VARIABLE, NAME, STRING)
    rows = [(n + 1, kind, n) for n in range(16_000)]
    return dwarf(table, unit(INT_DIE)) + symbols(rows, b"\0" + text + b"\0")


def lists(entry: bytes) -> list[Section]:
    """Parameters that all name one very long list of locations."""
    table = ROOT + INT + abbreviation(3, PARAMETER, NAME, STRING, LOCATION, SEC_OFFSET)
    table += abbreviation(4, SUBPROGRAM, NAME, STRING, children=True)
    functions = b"\4f\0" + b"\3p\0" + bytes(4) + b"\0"
    dies = INT_DIE + functions * 30_000
    locations = entry * (400_000 // len(entry))
    return dwarf(table, unit(dies), loclists=locations) + ONE_FUNCTION


def on_the_stack() -> list[Section]:
    """Functions that take a struct of very many members on the stack."""
    table = ROOT + INT + abbreviation(3, PARAMETER, NAME, STRING, TYPE, REF4)
    table += abbreviation(4, SUBPROGRAM, NAME, STRING, children=True)
    table += abbreviation(5, STRUCT, NAME, STRING, children=True)
    table += abbreviation(6, MEMBER, TYPE, REF4)
    member = b"\6" + struct.pack("<I", FIRST)
    struct_die = b"\5s\0" + member * 60_000 + b"\0"
    parameter = b"\3p\0" + struct.pack("<I", AFTER_INT)
    dies = INT_DIE + struct_die + (b"\4f\0" + parameter * 60_000 + b"\0")
    return dwarf(table, unit(dies)) + ONE_FUNCTION


def same_function() -> list[Section]:
    """One function very often, whose parameters lead to prototypes of very many parameters."""
    table = ROOT + INT + abbreviation(3, PARAMETER, NAME, STRING, TYPE, REF4)
    table += abbreviation(4, SUBPROGRAM, NAME, STRING, children=True)
    table += abbreviation(5, PROTO, children=True) + abbreviation(6, PARAMETER, TYPE, REF4)
    protos, starts = b"", []
    for _ in range(2):
        starts.append(AFTER_INT + len(protos))
        protos += b"\5" + (b"\6" + struct.pack("<I", AFTER_INT)) * 60_000 + b"\0"
    functions = [b"\4f\0\3p\0" + struct.pack("<I", at) + b"\0" for at in starts]
    dies = INT_DIE + protos + b"".join(functions) * 14_000
    return dwarf(table, unit(dies)) + ONE_FUNCTION


def bitfields() -> list[Section]:
    """Bitfields whose type is behind 30 typedefs, each one within the name of the last."""
    table = ROOT + abbreviation(3, MEMBER, BITS, DATA1, TYPE, REF4)
    table += abbreviation(4, STRUCT, children=True)
    table += abbreviation(0x7F, TYPEDEF, TYPE, REF_UDATA, NAME, STRING)
    links = b"".join(b"\x7f" + uleb(FIRST + 2 * n + 2) for n in range(30))
    member = b"\3\1" + struct.pack("<I", FIRST)
    dies = links + b"a" * 60_000 + b"\0\4" + member * 65_000 + b"\0"
    return dwarf(table, unit(dies))


def variables() -> list[Section]:
    """Variables at the start of a section, of which the symbol table has objects of like names."""
    table = ROOT + INT + abbreviation(3, VARIABLE, NAME, STRING, TYPE, REF4, LOCATION, EXPRLOC)
    one = b"\3" + b"a" * 100 + b"\0" + struct.pack("<I", FIRST) + b"\2\xa1\0"
    found = dwarf(table, unit(INT_DIE + one * 3_000), addr=bytes(16))
    home = len(HEAD) + len(found)
    found += [
        Section(".data..percpu", bytes(16), 1, ALLOC),
        Section(".rela.debug_addr", struct.pack("<QQq", 8, 1 << 32 | 1, 0), RELA, 0, home - 1),
    ]
    rows = [(1, OBJECT, 0)] * 20_000
    return found + symbols(rows, b"\0" + b"a" * 99 + b"\0", home)


def rings() -> list[Section]:
    """All that may refer to something refers to itself."""
    table = ROOT + abbreviation(3, TYPEDEF, NAME, STRING, TYPE, REF4)
    table += abbreviation(4, SUBPROGRAM, ORIGIN, REF4) + abbreviation(
        5, SUBPROGRAM, SPECIFICATION, REF4
    )
    table += abbreviation(6, ANNOTATION, NAME, STRING, CONST_VALUE, STRING, GNU_ANNOTATION, REF4)
    table += abbreviation(7, POINTER, GNU_ANNOTATION, REF4)
    note = FIRST + 7
    dies = b"\3t\0" + struct.pack("<I", FIRST)
    dies += b"\6btf_type_tag\0a\0" + struct.pack("<I", note)
    for code in (4, 5):
        for _ in range(40_000):
            dies += bytes([code]) + struct.pack("<I", FIRST + len(dies))
    dies += (b"\7" + struct.pack("<I", note)) * 80_000
    return dwarf(table, unit(dies))


def chain(tag: int, *named: int, name: bytes = b"") -> list[Section]:
    """Each type refers to the one before."""
    table = ROOT + INT + abbreviation(3, tag, *named, TYPE, REF4)
    dies, at = bytearray(INT_DIE), FIRST
    for _ in range(900_000 // (5 + len(name))):
        start = FIRST + len(dies)
        dies += b"\3" + name + struct.pack("<I", at)
        at = start
    return dwarf(table, unit(bytes(dies)))


def twins() -> list[Section]:
    """Structs of one name that point at one another, and differ at the end of each chain only."""
    table = ROOT + INT + abbreviation(3, STRUCT, NAME, STRING, SIZE, DATA1, children=True)
    table += abbreviation(4, MEMBER, TYPE, REF4) + abbreviation(5, POINTER, TYPE, REF4)
    dies, at = bytearray(INT_DIE), FIRST
    for _ in range(50_000):
        pointer = FIRST + len(dies)
        dies += b"\5" + struct.pack("<I", at)
        at = FIRST + len(dies)
        dies += b"\3s\0\x08\4" + struct.pack("<I", pointer) + b"\0"
    return dwarf(table, unit(bytes(dies)))


def arrays() -> list[Section]:
    """Arrays of more elements than can be counted, of one another."""
    table = ROOT + INT + abbreviation(3, ARRAY, TYPE, REF4, children=True)
    table += abbreviation(4, SUBRANGE, COUNT, UDATA)
    dies, at = bytearray(INT_DIE), FIRST
    for _ in range(40_000):
        start = FIRST + len(dies)
        dies += b"\3" + struct.pack("<I", at) + b"\4" + uleb(2**64 - 1) + b"\0"
        at = start
    return dwarf(table, unit(bytes(dies)))


def relocations() -> list[Section]:
    """Relocations in no order, of .debug_info, of themselves and of the symbol table."""
    found = repeated(CONST, 100_000)
    table = b"".join(struct.pack("<QQq", 90_000 - n, 1 << 32 | 10, n) for n in range(24_000))
    found += [Section(".rela", table, RELA, 0, number) for number in (3, 4, 5, 9)]
    return found + ONE_FUNCTION


def notes() -> list[Section]:
    """Sections of notes that share their bytes."""
    data = struct.pack("<III", 0, 0, 1) * 30_000
    return repeated(CONST, 1) + [Section(".note", data, NOTE)] * 6_000


def compressed(packed: bytes, size: int, *, kind: int = 1, count: int = 1) -> list[Section]:
    """Debug sections that share what they are compressed to."""
    names = (".debug_info", ".debug_abbrev", ".debug_str", ".debug_loclists", ".debug_addr")
    data = struct.pack("<IIQQ", kind, 0, size, 1) + packed
    return [Section(name, data, 1, COMPRESSED) for name in names * count]


def compressed_dies(tag: int) -> list[Section]:
    """DIEs of one byte, as many as compression gives."""
    abbrev, info = dwarf(ROOT + abbreviation(3, tag), unit(b"\3" * (10 << 20)))
    packed = struct.pack("<IIQQ", 1, 0, len(info.data), 1) + zlib.compress(info.data)
    filling = Section(".filling", bytes(900_000))
    return [abbrev, info._replace(data=packed, flags=COMPRESSED), filling]


def zeros(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


SHAPES: dict[str, Callable[[], list[Section]]] = {
    "types of one byte": lambda: repeated(CONST),
    "functions of one byte": lambda: repeated(SUBPROGRAM),
    "variables of one byte": lambda: repeated(VARIABLE),
    "structs of one byte": lambda: repeated(STRUCT),
    "types that cannot be expressed": lambda: repeated(ATOMIC),
    "members of one byte": lambda: children(STRUCT, MEMBER),
    "parameters of one byte": lambda: children(SUBPROGRAM, PARAMETER),
    "parameters of one long name": lambda: children(
        SUBPROGRAM, PARAMETER, NAME, STRP, die=b"\3\0\0\0\0"
    ),
    "parameters of a type": lambda: children(PROTO, PARAMETER),
    "dimensions of one byte": lambda: children(ARRAY, SUBRANGE),
    "values of one byte": lambda: children(ENUM, ENUMERATOR),
    "typedefs of suffixes": suffixes,
    "typedefs of one long name": lambda: one_long_name(TYPEDEF),
    "functions of one long name": lambda: one_long_name(SUBPROGRAM),
    "units of one long name": units,
    "skeletons of one long name": lambda: units(kind=4),
    "units that cannot be expressed": lambda: units(more=abbreviation(3, ATOMIC), dies=b"\3\0"),
    "units that cannot be expressed, and one": mixed_units,
    "two tables in turn": lambda: tables_in_turn(TYPE, REF4),
    "two tables in turn, merged": lambda: tables_in_turn(TYPE, REF_ADDR, 0x99, UDATA),
    "one attribute very often": flags,
    "blocks in blocks": lambda: nested(end=b"\0" * 450_000),
    "blocks in blocks without an end": lambda: nested(end=b""),
    "functions of suffixes": lambda: symbols_of_suffixes(FUNC),
    "objects of suffixes": lambda: symbols_of_suffixes(OBJECT),
    "functions of suffixes of 4,000 bytes": lambda: symbols_of_suffixes(
        FUNC, (b"a" * 3_999 + b"\0") * 125
    ),
    "one list of base addresses": lambda: lists(b"\1\0"),
    "one list of expressions": lambda: lists(b"\5\1\x9f"),
    "one list of one long number": lambda: lists(b"\1" + b"\x80" * 399_999),
    "structs on the stack": on_the_stack,
    "one function very often": same_function,
    "bitfields of one type": bitfields,
    "rings": rings,
    "chain of typedefs": lambda: chain(TYPEDEF, NAME, STRING, name=b"t\0"),
    "chain of pointers": lambda: chain(POINTER),
    "chain of consts": lambda: chain(CONST),
    "twins": twins,
    "arrays of arrays": arrays,
    "forms in forms": lambda: dwarf(
        ROOT + abbreviation(3, TYPEDEF, NAME, INDIRECT), unit(b"\3" + b"\x16" * 900_000)
    ),
    "a block that ends elsewhere": lambda: dwarf(
        ROOT + abbreviation(3, VARIABLE, LOCATION, BLOCK4),
        unit(b"\3" + struct.pack("<I", 0x7FFFFFFF) + b"\x9e\x80"),
    ),
    "variables and symbols": variables,
    "relocations in no order": relocations,
    "notes that share their bytes": notes,
    "zlib of zeros": lambda: compressed(zeros(200 << 20), 200 << 20),
    "zlib of less zeros": lambda: compressed(zeros(15 << 20), 15 << 20, count=1_000),
    "zlib that lies": lambda: compressed(zeros(200 << 20), 1 << 50),
    "zlib that lies small": lambda: compressed(zeros(200 << 20), 1 << 10),
    "a compressed symbol table": lambda: [
        *repeated(CONST, 1),
        Section(".symtab", compressed(zeros(15 << 20), 15 << 20)[0].data, SYMTAB, COMPRESSED),
    ],
    "compressed types of one byte": lambda: compressed_dies(CONST),
    "compressed functions of one byte": lambda: compressed_dies(SUBPROGRAM),
}
