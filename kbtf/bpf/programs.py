# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Programs as they are loaded: each followed by the functions that it calls.

Source: tools/lib/bpf/libbpf.c (bpf_object__relocate, bpf_object__reloc_code).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from kbtf.bpf.object import CALL, PSEUDO_CALL
from kbtf.btf.kinds import Kind
from kbtf.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.bpf.object import BpfObject, Function, Insn

_MOST_INSNS = 1 << 22
"""Calls and loads of addresses in all programs, appended functions included."""
_CALLBACK = "exception_callback:"


class Use(NamedTuple):
    """A call of an extern, or an instruction that loads its address."""

    insn: int
    """Its number in the program as it is loaded."""
    extern: int
    is_call: bool


class Program(NamedTuple):
    """A program with the functions appended to it."""

    name: str
    section: str
    autoload: bool
    """Loaded by default: its section has no ``?``."""
    length: int
    """In instructions."""
    uses: tuple[Use, ...]
    starts: tuple[int, ...] = (0,)
    """Where its functions start, ascending."""
    reads_constants: bool = False
    """It refers to data that is constant once it is loaded."""


def read_programs(bpf: BpfObject) -> tuple[Program, ...]:
    """The programs of an object, in the order in which libbpf loads them.

    ElfError for a call that leads to no function.
    """
    return _Loader(bpf).programs()


class _Loader:
    def __init__(self, bpf: BpfObject) -> None:
        self._bpf = bpf
        self._subprograms = [f for f in bpf.functions if f.section == bpf.text]
        self._starts = [f.start for f in self._subprograms]
        self._extern_of = {extern.symbol: at for at, extern in enumerate(bpf.externs)}
        self._callbacks = dict(_exception_callbacks(bpf))
        self._insns = 0
        self._reads_constants = False

    def programs(self) -> tuple[Program, ...]:
        """Sub-programs are loaded only with programs that call them."""
        return tuple(self._load(f) for f in self._bpf.functions if f.section != self._bpf.text)

    def _load(self, main: Function) -> Program:
        placed = {(main.section, main.start): 0}
        length = main.length
        self._count(main)
        uses: list[Use] = []
        self._reads_constants = False
        stack = [(main, 0, iter(main.insns))]
        callback = self._callback(main)
        while stack:
            function, place, insns = stack[-1]
            called = self._next_call(function, place, insns, uses, main)
            if called is None:
                stack.pop()
                if not stack and callback is not None:
                    called, callback = callback, None
                else:
                    continue
            key = (called.section, called.start)
            if key not in placed:
                placed[key] = length
                self._count(called)
                stack.append((called, length, iter(called.insns)))
                length += called.length
        section = main.section_name
        autoload = not section.startswith("?")
        uses.sort()
        return Program(
            main.name,
            section.removeprefix("?"),
            autoload,
            length,
            tuple(uses),
            tuple(sorted(placed.values())),
            self._reads_constants,
        )

    def _next_call(
        self,
        function: Function,
        place: int,
        insns: Iterator[Insn],
        uses: list[Use],
        main: Function,
    ) -> Function | None:
        """The next function that is called; uses of externs up to there are recorded."""
        for insn in insns:
            extern = None if insn.symbol is None else self._extern_of.get(insn.symbol)
            if extern is not None:
                uses.append(Use(place + insn.at - function.start, extern, insn.code == CALL))
                continue
            if insn.symbol is not None and self._bpf.symbols[insn.symbol].section == 0:
                name = self._bpf.symbols[insn.symbol].name
                raise ElfError(f"undefined symbol {name}", where=f"program {main.name}")
            if insn.symbol is not None:
                section = self._bpf.symbols[insn.symbol].section
                self._reads_constants |= section in self._bpf.constants
            start = self._bpf.called(insn)
            is_call = insn.code == CALL and insn.src == PSEUDO_CALL
            if start is None and not is_call:
                continue  # the address of a map or of data
            found = None if start is None else self._at(start)
            if found is None:
                raise ElfError(
                    f"instruction {insn.at} calls no function of .text",
                    where=f"program {main.name}",
                )
            return found
        return None

    def _at(self, start: int) -> Function | None:
        """The function of ``.text`` that contains that instruction."""
        number = bisect_right(self._starts, start) - 1
        if number < 0:
            return None
        found = self._subprograms[number]
        return found if start < found.start + found.length else None

    def _count(self, function: Function) -> None:
        self._insns += len(function.insns)
        if self._insns > _MOST_INSNS:
            raise ElfError(f"its programs call more than {_MOST_INSNS} times")

    def _callback(self, main: Function) -> Function | None:
        name = self._callbacks.get(main.name)
        return next((f for f in self._subprograms if f.name == name), None)


def _exception_callbacks(bpf: BpfObject) -> Iterator[tuple[str, str]]:
    """Programs by name, with the function that is appended although nothing calls it."""
    for t in bpf.btf or ():
        if t.kind is Kind.DECL_TAG and t.name.startswith(_CALLBACK) and t.component_idx == -1:
            yield t.btf[t.size_or_type].name, t.name.removeprefix(_CALLBACK)
