# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Calls of missing kfuncs that the verifier can reach.

A loader leaves such a call in the program.  The verifier ignores it if it is unreachable: guarded
by a test of the function's address, which is 0, or of a constant.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from kbtf.bpf.resolve import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.bpf.programs import Program
    from kbtf.bpf.resolve import Resolution


class Untested(NamedTuple):
    """A program that calls a missing kfunc without testing its address first."""

    extern: int
    program: str
    maybe_constant: bool
    """It reads constants, and may test one of them."""


def untested_calls(
    programs: Iterable[Program], resolutions: Iterable[Resolution]
) -> Iterator[Untested]:
    """One for each program and each missing kfunc."""
    missing = sorted(r.number for r in resolutions if r.status is Status.MISSING)
    for program in programs:
        for number in missing:
            if not _all_tested(program, number):
                yield Untested(number, program.name, program.reads_constants)


def _all_tested(program: Program, number: int) -> bool:
    """If another function takes the address, it may test it for the caller."""
    calls = [use.insn for use in program.uses if use.extern == number and use.is_call]
    tests = [use.insn for use in program.uses if use.extern == number and not use.is_call]
    return all(
        any(
            test < call or bisect_right(program.starts, test) != bisect_right(program.starts, call)
            for test in tests
        )
        for call in calls
    )
