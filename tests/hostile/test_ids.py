# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whatever .BTF_ids and its symbols hold, each command that reads them ends soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hostile.cost import run
from hostile.shapes import as_split
from kbtf.testing import ElfSymbol, make_base, write_elf

if TYPE_CHECKING:
    from pathlib import Path

BASE = make_base().build()


def slots(count: int, *, apart: int = 4) -> list[ElfSymbol]:
    """Slots of different functions."""
    return [symbol(f"func__f{n}__1", apart * n + 4, 4) for n in range(count)]


def symbol(name: str, offset: int, size: int) -> ElfSymbol:
    return ElfSymbol(f"__BTF_ID__{name}", ".BTF_ids", offset, size)


def sets(kind: str, size: int, *, apart: int = 0, count: int = 8_000) -> list[ElfSymbol]:
    """Sets of *size* bytes."""
    return [symbol(f"{kind}__s{n}", apart * n, size) for n in range(count)]


def lists(count: int) -> list[ElfSymbol]:
    return [ElfSymbol(f"l{n}", ".BTF_ids", 4 * n) for n in range(count)]


# by name: bytes of the section, and its symbols
SHAPES = {
    "lists": (40_004, lists(9_000) + slots(9_000)),
    "one set often": (200_004, sets("set", 200_004) + slots(8_000)),
    "one set8 often": (200_004, sets("set8", 200_000) + slots(8_000)),
    "sets up to the end": (56_000, sets("set", 56_000, apart=4, count=14_000)),
    "small sets": (64_004, sets("set", 8, apart=8) + slots(8_000, apart=8)),
    "one word in all sets": (64_004, sets("set", 8) + slots(8_000, apart=0)),
}
COMMANDS = (
    "run --dry-run --no-cache --base base m.ko",
    "run --dry-run --no-cache --base base --distill never m.ko",
    "show m.ko",
    "check --kernel base m.ko",
    "kfuncs --base base m.ko",
    "kfuncs --base base --compare m.ko other.ko",
    "kbtf-resolve-btfids -b base m.ko",
)


@pytest.mark.integration
@pytest.mark.parametrize("shape", SHAPES)
def test_sets_and_lists_are_bounded(shape: str, tmp_path: Path) -> None:
    size, symbols = SHAPES[shape]
    sections = {
        ".modinfo": b"name=m\0vermagic=6.12.0-test SMP\0license=GPL\0",
        ".BTF": as_split("doubling", BASE.end_id, BASE.end_str),
        ".BTF_ids": bytes(size),
    }
    data = write_elf(sections, tuple(symbols))
    assert len(data) < 1_000_000
    for name, contents in {"m.ko": data, "other.ko": data, "base": BASE.to_bytes()}.items():
        (tmp_path / name).write_bytes(contents)

    found = {}
    for command in COMMANDS:
        words = command.split()
        program = words.pop(0) if command.startswith("kbtf-") else "kbtf"
        found[command] = list(run(words, tmp_path, program).mistakes())

    assert {command: mistakes for command, mistakes in found.items() if mistakes} == {}
