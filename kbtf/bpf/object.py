"""BPF objects as compilers and static linkers leave them: functions, externs, relocations.

What libbpf reads of them, and where it refuses them.  Source: tools/lib/bpf/libbpf.c
(bpf_object__elf_collect, bpf_object__add_programs, bpf_object__collect_externs).
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from typing import TYPE_CHECKING

from kbtf.bpf.externs import Extern, read_externs
from kbtf.btf.btf import Btf
from kbtf.elf.image import ET_REL, SHT_PROGBITS, SHT_SYMTAB, ElfImage
from kbtf.elf.module import located
from kbtf.errors import ElfError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.elf.image import Data, Section, Symbol

_EM_BPF = 247
_MACHINES = (0, _EM_BPF)  # old compilers wrote none
_SHT_REL = 9
_SHF_EXECINSTR = 4
_STB_LOCAL = 0
_STT_FUNC, _STT_SECTION = 2, 3
_TEXT = ".text"
_MOST_INSNS = 1 << 22
"""More of those that matter would not fit into any program (the kernel takes a million)."""

INSN_SIZE = 8
CALL = 0x85  # BPF_JMP | BPF_CALL
LD_IMM64 = 0x18
PSEUDO_CALL = 1
PSEUDO_FUNC = 4


class Insn(NamedTuple):
    """An instruction that calls something or loads an address, as far as that matters."""

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
    """Those that matter, in order."""
    is_static: bool


class BpfObject(NamedTuple):
    """An object file with BPF programs."""

    byte_order: str
    btf: Btf | None
    externs: tuple[Extern, ...]
    """In libbpf's order."""
    functions: tuple[Function, ...]
    """By section and place; those of ``.text`` are loaded only with programs that call them."""
    symbols: tuple[Symbol, ...]
    text: int | None
    """The number of the section ``.text``."""

    def called(self, insn: Insn) -> int | None:
        """Where in ``.text`` the function starts that *insn* calls or takes the address of."""
        symbol = None if insn.symbol is None else self.symbols[insn.symbol]
        is_call = insn.code == CALL and insn.src == PSEUDO_CALL
        if symbol is None:
            if is_call:
                return insn.at + insn.imm + 1
            return None
        if self.text is None or symbol.shndx != self.text:
            return None
        if is_call:
            return symbol.value // INSN_SIZE + insn.imm + 1
        return (symbol.value + insn.imm) // INSN_SIZE


def read_object(data: Data, path: str = "<memory>") -> BpfObject:
    """The BPF object in *data*; ElfError or BtfError, which names *path*, if libbpf refuses it."""
    with located(path):
        image = ElfImage(data)
        if image.type != ET_REL or image.machine not in _MACHINES or image.bits != 64:
            raise ElfError("is not a BPF object (ELF64, relocatable, machine BPF)")
        if not any(s.type == SHT_SYMTAB for s in image.sections):
            raise ElfError("has no symbol table", hint="use the object before it is stripped")
        symbols = tuple(image.symbols())
        blob = image.data(".BTF")
        btf = Btf.parse(blob) if blob else None
        functions = tuple(_functions(image, symbols))
        text = next((f.section for f in functions if f.section_name == _TEXT), None)
        externs = read_externs(symbols, btf)
    return BpfObject(image.byte_order, btf, externs, functions, symbols, text)


def _functions(image: ElfImage, symbols: tuple[Symbol, ...]) -> Iterator[Function]:
    number = 0
    for section in image.sections:
        if section.type != SHT_PROGBITS or not section.flags & _SHF_EXECINSTR or not section.size:
            continue
        insns = _insns(image, section, len(symbols))
        within = [
            symbol
            for symbol in symbols
            if symbol.shndx == section.number and symbol.info & 15 == _STT_FUNC
        ]
        for symbol in sorted(within, key=lambda symbol: symbol.value):
            function = _function(section, symbol, insns)
            number += len(function.insns)
            if number > _MOST_INSNS:
                raise ElfError("its functions lie on each other", where=f"section {section.name}")
            yield function


def _function(section: Section, symbol: Symbol, insns: list[Insn]) -> Function:
    where = f"section {section.name}"
    if symbol.value + symbol.size > section.size:
        raise ElfError(f"function {symbol.name} reaches past its end", where=where)
    if not symbol.size or symbol.size % INSN_SIZE or symbol.value % INSN_SIZE:
        raise ElfError(
            f"function {symbol.name} (offset {symbol.value}, {symbol.size} bytes) "
            "is not a whole number of instructions",
            where=where,
        )
    is_static = symbol.info >> 4 == _STB_LOCAL
    if is_static and section.name != _TEXT:
        raise ElfError(f"program {symbol.name} is static, which libbpf refuses", where=where)
    start, length = symbol.value // INSN_SIZE, symbol.size // INSN_SIZE
    first = bisect_left(insns, start, key=_place)
    end = bisect_left(insns, start + length, key=_place)
    own = tuple(insns[first:end])
    return Function(symbol.name, section.number, section.name, start, length, own, is_static)


def _place(insn: Insn) -> int:
    return insn.at


def _insns(image: ElfImage, section: Section, nr_symbols: int) -> list[Insn]:
    """The instructions of a section that have a relocation or call another function."""
    where = f"section {section.name}"
    contents = image.contents(section)
    if len(contents) % INSN_SIZE:
        raise ElfError(f"{len(contents)} bytes are not a whole number of instructions", where=where)
    relocations = dict(_relocations(image, section, nr_symbols))
    order = "<" if image.byte_order == "little" else ">"
    found = []
    for at, (code, regs, off, imm) in enumerate(struct.iter_unpack(f"{order}BBhi", contents)):
        src = regs >> 4 if order == "<" else regs & 15
        dst = regs & 15 if order == "<" else regs >> 4
        symbol = relocations.get(at)
        if symbol is not None and code not in (CALL, LD_IMM64):
            raise ElfError(
                f"a relocation of instruction {at}, which neither calls nor loads an address",
                where=where,
            )
        if symbol is not None or (code == CALL and src == PSEUDO_CALL and not off and not dst):
            found.append(Insn(at, code, src, imm, symbol))
    return found


def _relocations(image: ElfImage, target: Section, nr_symbols: int) -> Iterator[tuple[int, int]]:
    """The number of each instruction of *target* that has a relocation, and of its symbol."""
    order = "<" if image.byte_order == "little" else ">"
    for section in image.sections:
        if section.type != _SHT_REL or section.info != target.number:
            continue
        contents = image.contents(section)
        if section.entsize != 16 or len(contents) % 16:
            raise ElfError(
                f"{len(contents)} bytes are not a whole number of relocations", where=section.name
            )
        for offset, info in struct.iter_unpack(f"{order}QQ", contents):
            symbol = info >> 32
            if offset % INSN_SIZE or offset >= target.size:
                raise ElfError(
                    f"a relocation of no instruction (offset {offset})", where=section.name
                )
            if symbol >= nr_symbols:
                raise ElfError(
                    f"a relocation against symbol {symbol} of {nr_symbols}", where=section.name
                )
            yield offset // INSN_SIZE, symbol
