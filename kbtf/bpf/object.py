# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BPF objects as compilers and static linkers leave them: functions, externs, relocations.

They are read, and refused, as by libbpf.  Source: tools/lib/bpf/libbpf.c
(bpf_object__elf_collect, bpf_object__add_programs, bpf_object__collect_externs).
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from elftools.elf.constants import SH_FLAGS
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from kbtf.bpf.externs import Extern, Symbol, read_externs
from kbtf.btf.btf import Btf
from kbtf.elf.parsed import parse_elf, reading
from kbtf.errors import ElfError, LoaderError, located
from kbtf.say import counted_is

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import Section
    from elftools.elf.sections import Symbol as ElfSymbol

    from kbtf.elf.format import Data

_MACHINES = ("EM_NONE", "EM_BPF")  # old compilers wrote none
_EXECUTABLE = SH_FLAGS.SHF_EXECINSTR
_TEXT = ".text"
_LEGACY_MAPS = "maps"
_DATA = re.compile(r"\.maps|\.(data|rodata|bss)(\..*)?|\.addr_space\.1", re.DOTALL)
"""The sections besides code whose addresses programs can take."""
_MOST_INSNS = 1 << 22
"""A limit on relevant instructions: no program can hold more (the kernel's limit is a million)."""

INSN_SIZE = 8
CALL = 0x85  # BPF_JMP | BPF_CALL
LD_IMM64 = 0x18
PSEUDO_CALL = 1


class Insn(NamedTuple):
    """An instruction that calls something or loads an address."""

    at: int
    """Its number in its section."""
    code: int
    src: int
    imm: int
    symbol: int | None
    """What its relocation refers to."""


class Function(NamedTuple):
    """A program, or a function that programs call."""

    name: str
    section: int
    section_name: str
    start: int
    """The number of its first instruction in the section."""
    length: int
    """In instructions."""
    insns: tuple[Insn, ...]
    """The relevant ones, in order."""
    is_static: bool


class BpfObject(NamedTuple):
    """An object file with BPF programs."""

    byte_order: str
    btf: Btf | None
    externs: tuple[Extern, ...]
    """In libbpf's order."""
    functions: tuple[Function, ...]
    """By section and offset; those of ``.text`` are loaded only with programs that call them."""
    symbols: tuple[Symbol, ...]
    text: int | None
    """The number of the section ``.text``."""
    constants: frozenset[int] = frozenset()
    """The numbers of the sections ``.rodata`` and ``.rodata.*``."""

    def called(self, insn: Insn) -> int | None:
        """Where in ``.text`` the function starts that *insn* calls or takes the address of."""
        symbol = None if insn.symbol is None else self.symbols[insn.symbol]
        is_call = insn.code == CALL and insn.src == PSEUDO_CALL
        if symbol is None:
            if is_call:
                return insn.at + insn.imm + 1
            return None
        if self.text is None or symbol.section != self.text:
            return None
        if is_call:
            return symbol.value // INSN_SIZE + insn.imm + 1
        return (symbol.value + insn.imm) // INSN_SIZE


def read_object(data: Data, path: str = "<memory>") -> BpfObject:
    """The BPF object in *data*.

    ElfError, BtfError or LoaderError, which names *path*, if libbpf does not open it.
    """
    with located(path):
        elf = parse_elf(data)
        with reading():
            return _read(elf)


def _read(elf: ELFFile) -> BpfObject:
    if elf["e_type"] != "ET_REL" or elf["e_machine"] not in _MACHINES or elf.elfclass != 64:
        raise ElfError("is not a BPF object (ELF64, relocatable, machine BPF)")
    sections = list(elf.iter_sections())
    table = next((s for s in sections if s["sh_type"] == "SHT_SYMTAB"), None)
    if not isinstance(table, SymbolTableSection):
        raise ElfError("has no symbol table", hint="use the object file before it is stripped")
    symbols = tuple(map(_symbol, table.iter_symbols()))
    section = elf.get_section_by_name(".BTF")
    blob = section.data() if section is not None and section["sh_type"] == "SHT_PROGBITS" else b""
    btf = Btf.parse(blob) if blob else None
    _check_maps(sections)
    functions = tuple(_functions(elf, sections, symbols))
    _check_data(functions, sections, symbols)
    text = next((f.section for f in functions if f.section_name == _TEXT), None)
    byte_order = "little" if elf.little_endian else "big"
    externs = read_externs(symbols, btf)
    constants = (at for at, s in enumerate(sections) if s.name.split(".")[:2] == ["", "rodata"])
    return BpfObject(byte_order, btf, externs, functions, symbols, text, frozenset(constants))


def _check_maps(sections: list[Section]) -> None:
    if any(section.name == _LEGACY_MAPS for section in sections):
        raise LoaderError(
            "has legacy map definitions, so libbpf 1.x does not open the object",
            where=f"section {_LEGACY_MAPS}",
            hint='define maps in SEC(".maps"), with BTF',
        )


def _check_data(
    functions: tuple[Function, ...], sections: list[Section], symbols: tuple[Symbol, ...]
) -> None:
    """Programs can take addresses of maps, variables and functions only."""
    for function in functions:
        for insn in function.insns:
            at = 0 if insn.symbol is None else symbols[insn.symbol].section
            if insn.code != LD_IMM64 or not at or at >= len(sections):
                continue
            name = sections[at].name
            if not _DATA.fullmatch(name) and not sections[at]["sh_flags"] & _EXECUTABLE:
                raise LoaderError(
                    f"refers to section {name}, which libbpf does not know; it does not open this "
                    "object",
                    where=f"function {function.name}",
                    hint='define maps in SEC(".maps"), variables without SEC()',
                )


def _symbol(symbol: ElfSymbol) -> Symbol:
    section, info = symbol["st_shndx"], symbol["st_info"]
    number = section if isinstance(section, int) else 0 if section == "SHN_UNDEF" else None
    value, size = symbol["st_value"], symbol["st_size"]
    return Symbol(symbol.name, number, info["type"], info["bind"], value, size)


def _functions(
    elf: ELFFile, sections: list[Section], symbols: tuple[Symbol, ...]
) -> Iterator[Function]:
    number = 0
    for at, section in enumerate(sections):
        executable = section["sh_flags"] & _EXECUTABLE
        if section["sh_type"] != "SHT_PROGBITS" or not executable or not section["sh_size"]:
            continue
        insns = _insns(section, dict(_relocations(sections, at, len(symbols))), elf.little_endian)
        within = [s for s in symbols if s.section == at and s.type == "STT_FUNC"]
        for symbol in sorted(within, key=lambda symbol: symbol.value):
            function = _function(at, section, symbol, insns)
            number += len(function.insns)
            if number > _MOST_INSNS:
                raise ElfError("its functions overlap", where=f"section {section.name}")
            yield function


def _function(number: int, section: Section, symbol: Symbol, insns: list[Insn]) -> Function:
    where = f"section {section.name}"
    if symbol.value + symbol.size > section["sh_size"]:
        raise ElfError(f"function {symbol.name} reaches past its end", where=where)
    if not symbol.size or symbol.size % INSN_SIZE or symbol.value % INSN_SIZE:
        raise ElfError(
            f"function {symbol.name} (offset {symbol.value}, {symbol.size} bytes) "
            "is not a whole number of instructions",
            where=where,
        )
    is_static = symbol.bind == "STB_LOCAL"
    if is_static and section.name != _TEXT:
        raise ElfError(f"program {symbol.name} is static, which libbpf refuses", where=where)
    start, length = symbol.value // INSN_SIZE, symbol.size // INSN_SIZE
    first = bisect_left(insns, start, key=_place)
    end = bisect_left(insns, start + length, key=_place)
    own = tuple(insns[first:end])
    return Function(symbol.name, number, section.name, start, length, own, is_static)


def _place(insn: Insn) -> int:
    return insn.at


def _insns(section: Section, relocations: dict[int, int], little_endian: bool) -> list[Insn]:
    """The instructions of a section that have a relocation or call another function."""
    where = f"section {section.name}"
    contents = section.data()
    if len(contents) % INSN_SIZE:
        raise ElfError(
            f"{counted_is(len(contents), 'byte')} not a whole number of instructions", where=where
        )
    order = "<" if little_endian else ">"
    found = []
    for at, (code, regs, off, imm) in enumerate(struct.iter_unpack(f"{order}BBhi", contents)):
        src = regs >> 4 if little_endian else regs & 15
        dst = regs & 15 if little_endian else regs >> 4
        symbol = relocations.get(at)
        if symbol is not None and code not in (CALL, LD_IMM64):
            raise ElfError(
                f"a relocation of instruction {at}, which neither calls nor loads an address",
                where=where,
            )
        if symbol is not None or (code == CALL and src == PSEUDO_CALL and not off and not dst):
            found.append(Insn(at, code, src, imm, symbol))
    return found


def _relocations(
    sections: list[Section], target: int, nr_symbols: int
) -> Iterator[tuple[int, int]]:
    """The number of each instruction of *target* that has a relocation, and of its symbol."""
    for section in sections:
        if not isinstance(section, RelocationSection) or section["sh_info"] != target:
            continue
        if section["sh_type"] != "SHT_REL":
            continue
        for relocation in section.iter_relocations():
            offset, symbol = relocation["r_offset"], relocation["r_info_sym"]
            if offset % INSN_SIZE or offset >= sections[target]["sh_size"]:
                raise ElfError(
                    f"a relocation of no instruction (offset {offset})", where=section.name
                )
            if symbol >= nr_symbols:
                raise ElfError(
                    f"a relocation against symbol {symbol} of {nr_symbols}", where=section.name
                )
            yield offset // INSN_SIZE, symbol
