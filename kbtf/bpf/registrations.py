# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The hooks that a module registers its kfunc sets for, by relocations and arguments.

A call of register_btf_kfunc_id_set() passes a program type and a struct btf_kfunc_id_set, whose
relocations lead to a set in .BTF_ids.  Calls with arguments that are not constants, as in a loop,
are not seen.
Source: bpf_prog_type_to_kfunc_hook() and btf_populate_kfunc_set() in kernel/bpf/btf.c.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from kbtf.elf.parsed import parse_elf, reading
from kbtf.ids.btf_ids import PREFIX, REGISTER_KFUNCS, SECTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import Section

_SET = f"{PREFIX}set8__"
_EXECUTABLE = 4
_X86_64, _AARCH64 = "EM_X86_64", "EM_AARCH64"
_FARTHEST = 256
"""Bytes of code before a call that are searched for its arguments."""
# mov $TYPE, %edi or xor %edi, %edi
_X86_TYPE = re.compile(rb"\xbf(.)\0\0\0|\x31\xff", re.DOTALL)

_HOOKS = {
    "every program type": (0,),
    "socket filters": (1,),
    "kprobe": (2,),
    "tc classifiers": (3,),
    "tc actions": (4,),
    "tracing": (5, 7, 17, 26, 29),
    "xdp": (6,),
    "cgroup": (8, 9, 13, 15, 18, 23, 25),
    "lwt": (10, 11, 12, 19),
    "sk_skb": (14,),
    "struct_ops": (27,),
    "syscall": (31,),
    "netfilter": (32,),
}
"""BPF_PROG_TYPE_* grouped by shared hook."""
_HOOK_OF = {number: hook for hook, numbers in _HOOKS.items() for number in numbers}


class Registration(NamedTuple):
    """A call that registers a set."""

    set_name: str
    hook: str


class _Relocation(NamedTuple):
    offset: int
    symbol: int
    addend: int


def read_registrations(data: bytes) -> list[Registration]:
    """The registrations that the code of a module shows; none on unsupported machines."""
    elf = parse_elf(data)
    with reading():
        if elf["e_machine"] not in (_X86_64, _AARCH64):
            return []
        sections = list(elf.iter_sections())
        table = next((s for s in sections if isinstance(s, SymbolTableSection)), None)
        if table is None:
            return []
        return list(_Reader(elf, sections, table).read())


class _Reader:
    def __init__(self, elf: ELFFile, sections: list[Section], table: SymbolTableSection) -> None:
        self._sections = sections
        self._symbols = list(table.iter_symbols())
        self._is_x86 = elf["e_machine"] == _X86_64
        self._word = elf.elfclass // 8
        self._sets = dict(self._set_places())
        self._structs = dict(self._set_structs())

    def read(self) -> Iterator[Registration]:
        """Each call of the function, in code order."""
        for target, relocations in self._relocated(executable=True):
            code = self._sections[target].data()
            begin = 0
            for at, call in enumerate(relocations):
                if self._symbols[call.symbol].name != REGISTER_KFUNCS:
                    continue
                set_name = self._set_before(relocations[:at], max(begin, call.offset - _FARTHEST))
                hook = _HOOK_OF.get(self._type_before(code, begin, call.offset), "")
                begin = call.offset + 4
                if set_name and hook:
                    yield Registration(set_name, hook)

    def _set_places(self) -> Iterator[tuple[tuple[int, int], str]]:
        """The set that begins at each place of .BTF_ids."""
        for symbol in self._symbols:
            section = symbol["st_shndx"]
            if not symbol.name.startswith(_SET) or not isinstance(section, int):
                continue
            if section < len(self._sections) and self._sections[section].name == SECTION:
                yield (section, symbol["st_value"]), symbol.name.removeprefix(_SET)

    def _set_structs(self) -> Iterator[tuple[tuple[int, int], str]]:
        """The set of each struct btf_kfunc_id_set: its second member, after the owner."""
        for target, relocations in self._relocated(executable=False):
            for relocation in relocations:
                name = self._sets.get(self._place(relocation))
                if name is not None:
                    yield (target, relocation.offset - self._word), name

    def _set_before(self, relocations: Sequence[_Relocation], begin: int) -> str:
        """The set whose struct the nearest relocation refers to."""
        for relocation in reversed(relocations):
            if relocation.offset < begin:
                break
            section, place = self._place(relocation)
            for behind in (0, 4):  # relative to the end of the instruction
                if (section, place + behind) in self._structs:
                    return self._structs[section, place + behind]
        return ""

    def _type_before(self, code: bytes, begin: int, call: int) -> int:
        """The first argument of a call; -1 if it is not a constant."""
        before = code[max(begin, call - _FARTHEST) : call]
        if self._is_x86:
            found = list(_X86_TYPE.finditer(before))
            return -1 if not found else found[-1][1][0] if found[-1][1] else 0
        for (insn,) in reversed(list(struct.iter_unpack("<I", before[len(before) % 4 :]))):
            if insn & 0xFFE0001F == 0x52800000:  # mov w0, #TYPE
                return int(insn >> 5 & 0xFFFF)
            if insn == 0x2A1F03E0:  # mov w0, wzr
                return 0
        return -1

    def _place(self, relocation: _Relocation) -> tuple[int, int]:
        """Section and offset that a relocation refers to; section -1 if it is not in the module."""
        symbol = self._symbols[relocation.symbol]
        section = symbol["st_shndx"]
        if not isinstance(section, int):
            return -1, 0
        return section, symbol["st_value"] + relocation.addend

    def _relocated(self, *, executable: bool) -> Iterator[tuple[int, list[_Relocation]]]:
        """Sections of code, or of data, with their relocations by offset."""
        for section in self._sections:
            target = section["sh_info"]
            if not isinstance(section, RelocationSection) or target >= len(self._sections):
                continue
            if not section.is_RELA() or executable != self._is_code(target):
                continue
            relocations = [
                _Relocation(r["r_offset"], r["r_info_sym"], r["r_addend"])
                for r in section.iter_relocations()
            ]
            yield target, sorted(relocations)

    def _is_code(self, number: int) -> bool:
        return bool(self._sections[number]["sh_flags"] & _EXECUTABLE)
