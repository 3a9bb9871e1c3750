# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A small writer for ELF files of both classes and byte orders, for tests."""

from __future__ import annotations

import struct
from typing import NamedTuple

from kbtf.elf.format import ET_REL, SHF_ALLOC, SHT_PROGBITS, SHT_SYMTAB

_SHT_STRTAB = 3
_EM_X86_64 = 62
_GLOBAL = 1 << 4
_WEAK = 0x20


class ElfSymbol(NamedTuple):
    """A symbol to write; *section* is a name, or None for an undefined symbol."""

    name: str
    section: str | None
    value: int = 0
    size: int = 0
    is_weak: bool = False


def write_elf(
    sections: dict[str, bytes],
    symbols: tuple[ElfSymbol, ...] = (),
    *,
    bits: int = 64,
    byte_order: str = "little",
    elf_type: int = ET_REL,
) -> bytes:
    """An ELF file with these sections, in order, then ``.symtab``, ``.strtab``, ``.shstrtab``."""
    order = ">" if byte_order == "big" else "<"
    names = [*sections, ".symtab", ".strtab", ".shstrtab"]
    symtab, strtab = _symbol_table(symbols, list(sections), bits, order)
    shstrtab = b"\0" + b"".join(name.encode() + b"\0" for name in names)
    contents = [*sections.values(), symtab, strtab, shstrtab]
    header_size, section_format = (64, "IIQQQQIIQQ") if bits == 64 else (52, "10I")
    out = bytearray(header_size)
    table = [struct.pack(order + section_format, *[0] * 10)]
    name_at = 1
    for index, (name, data) in enumerate(zip(names, contents, strict=True)):
        out += bytes(-len(out) % 8)
        is_symtab = index == len(sections)
        kind = SHT_PROGBITS if index < len(sections) else SHT_SYMTAB if is_symtab else _SHT_STRTAB
        flags = SHF_ALLOC if kind == SHT_PROGBITS and not name.startswith(".BTF") else 0
        link = len(sections) + 2 if is_symtab else 0
        locals_end = 1 if is_symtab else 0
        entsize = (24 if bits == 64 else 16) if is_symtab else 0
        fields = (name_at, kind, flags, 0, len(out), len(data), link, locals_end, 1, entsize)
        table.append(struct.pack(order + section_format, *fields))
        out += data
        name_at += len(name.encode()) + 1
    out += bytes(-len(out) % 8)
    shoff = len(out)
    ident = b"\x7fELF" + bytes([bits // 32, 2 if byte_order == "big" else 1, 1]) + bytes(9)
    shape = "HHIQQQIHHHHHH" if bits == 64 else "HHIIIIIHHHHHH"
    fields = (elf_type, _EM_X86_64, 1, 0, 0, shoff, 0, header_size, 0, 0)
    shentsize = struct.calcsize(order + section_format)
    head = struct.pack(order + shape, *fields, shentsize, len(table), len(table) - 1)
    out[:header_size] = ident + head
    return bytes(out) + b"".join(table)


def _symbol_table(
    symbols: tuple[ElfSymbol, ...], sections: list[str], bits: int, order: str
) -> tuple[bytes, bytes]:
    strtab = b"\0"
    rows = [bytes(24 if bits == 64 else 16)]
    for symbol in symbols:
        name, strtab = len(strtab), strtab + symbol.name.encode("utf-8", "surrogateescape") + b"\0"
        shndx = 0 if symbol.section is None else sections.index(symbol.section) + 1
        binding = _WEAK if symbol.is_weak else _GLOBAL
        if bits == 64:
            fields = (name, binding, 0, shndx, symbol.value, symbol.size)
            rows.append(struct.pack(order + "IBBHQQ", *fields))
        else:
            fields = (name, symbol.value, symbol.size, binding, 0, shndx)
            rows.append(struct.pack(order + "IIIBBH", *fields))
    return b"".join(rows), strtab
