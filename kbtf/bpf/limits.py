# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""How many kfuncs and modules one program can use.

Source: kernel/bpf/verifier.c (MAX_KFUNC_DESCS, MAX_KFUNC_BTFS), include/linux/bpf_verifier.h
(MAX_USED_BTFS).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.bpf.kernel import VMLINUX
from kbtf.bpf.resolve import Loader, Resolution, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.bpf.programs import Program

KFUNCS = 256
CALLED_BTFS = 256
ADDRESSED_BTFS = 64


class Limit(NamedTuple):
    """How much of a limited resource a program uses."""

    program: str
    what: str
    used: int
    most: int

    @property
    def is_exceeded(self) -> bool:
        """The verifier refuses the program."""
        return self.used > self.most


def limits(
    programs: Iterable[Program], resolutions: Iterable[Resolution], loader: Loader
) -> list[Limit]:
    """The limited resources that each program uses; unused ones are left out.

    Only resolved externs count: the verifier skips calls of missing ones.
    """
    resolved = {r.number: r for r in resolutions if r.status is Status.RESOLVED}
    return [limit for program in programs for limit in _of(program, resolved, loader)]


def _of(program: Program, resolved: dict[int, Resolution], loader: Loader) -> Iterator[Limit]:
    used = [use for use in program.uses if use.extern in resolved]
    called = [resolved[number] for number in sorted({use.extern for use in used if use.is_call})]
    addressed = [resolved[number] for number in {use.extern for use in used if not use.is_call}]
    functions = {(_provider(r), r.type_id) for r in called}
    in_modules = [r for r in called if _provider(r) != VMLINUX]
    # the light skeleton reopens a module's BTF for each name
    is_light = loader is Loader.LIGHT
    btfs = {r.name if is_light else _provider(r) for r in in_modules}
    counts = (
        ("kfuncs", len(functions), KFUNCS),
        ("module BTFs for calls", len(btfs), CALLED_BTFS),
        ("BTFs for addresses", len({_provider(r) for r in addressed}), ADDRESSED_BTFS),
    )
    for what, count, most in counts:
        if count:
            yield Limit(program.name, what, count, most)


def _provider(resolution: Resolution) -> str:
    return resolution.found_in.name if resolution.found_in is not None else VMLINUX
