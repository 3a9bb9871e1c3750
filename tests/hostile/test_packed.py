# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Small compressed files that unpack to as much as they can."""

from __future__ import annotations

import lzma
import struct
import zlib
from random import Random
from typing import TYPE_CHECKING

import pytest

from hostile import dwarf
from hostile.cost import run
from kbtf.files.compression import compress
from kbtf.testing import make_base

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMANDS = {
    "encode": "encode --base small FILE -o out",
    "run": "run --dry-run --no-cache --base small FILE",
    "show": "show -v FILE",
}


def tables_of_merged_units(size: int) -> bytes:
    """Two tables of very many abbreviations, all of which are kept."""
    table = dwarf.ROOT
    attributes = dwarf.TYPE, dwarf.REF_ADDR, 0x99, dwarf.UDATA
    table += b"".join(dwarf.abbreviation(n, dwarf.CONST, *attributes) for n in range(2, size // 20))
    pair = dwarf.unit(b"") + dwarf.unit(b"", len(table) + 1)
    return dwarf.module(dwarf.dwarf(table + b"\0" + table, pair * (size // 3 // len(pair))))


def units_of_no_use(size: int) -> bytes:
    """Units that BTF cannot express, each of which is noted."""
    table = dwarf.ROOT + dwarf.INT + dwarf.abbreviation(3, dwarf.ATOMIC)
    bad = dwarf.unit(b"\3\0")
    return dwarf.module(dwarf.dwarf(table, dwarf.unit(dwarf.INT_DIE) + bad * (size // len(bad))))


def in_compressed_sections(size: int) -> bytes:
    """Sections that are compressed once more."""
    info = dwarf.unit(b"\3" * (8 * size))
    sections = dwarf.compressed_section(".debug_info", zlib.compress(info), len(info))
    table = dwarf.ROOT + dwarf.abbreviation(3, dwarf.SUBPROGRAM) + b"\0"
    filling = dwarf.Section(".filling", bytes(size))
    return dwarf.module([sections, dwarf.Section(".debug_abbrev", table), filling])


SHAPES: dict[str, Callable[[int], bytes]] = {
    "tables of merged units": tables_of_merged_units,
    "units that cannot be expressed": units_of_no_use,
    "parameters": lambda size: dwarf.module(
        dwarf.children(dwarf.SUBPROGRAM, dwarf.PARAMETER, total=size)
    ),
    "compressed sections": in_compressed_sections,
}


def as_file(data: bytes) -> bytes:
    """A file of nearly 1 MB, so that as much as can be may be unpacked from it."""
    packed = lzma.compress(data, preset=0)
    return packed + b"\0" * 4 * ((990_000 - len(packed)) // 4)


@pytest.mark.integration
@pytest.mark.parametrize("shape", SHAPES)
def test_debug_sections_of_a_packed_module_are_bounded(shape: str, tmp_path: Path) -> None:
    packed = as_file(SHAPES[shape](20 << 20))
    assert len(packed) < 1_000_000
    (tmp_path / "m.ko.xz").write_bytes(packed)
    (tmp_path / "small").write_bytes(make_base().build().to_bytes())

    found = {}
    for name, command in COMMANDS.items():
        cost = run(command.replace("FILE", "m.ko.xz").split(), tmp_path)
        found[name] = list(cost.mistakes())

    assert {name: mistakes for name, mistakes in found.items() if mistakes} == {}


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
def test_a_module_that_is_a_bomb_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    module = dwarf.module(dwarf.repeated(dwarf.CONST, 71 << 20))
    (tmp_path / f"m.ko.{kind}").write_bytes(compress(module, kind))
    (tmp_path / "small").write_bytes(make_base().build().to_bytes())

    for command in COMMANDS.values():
        cost = run(command.replace("FILE", f"m.ko.{kind}").split(), tmp_path)

        assert not [*cost.mistakes()]
        assert "unpacks to more than" in cost.errors
        assert cost.megabytes < 100


SYMVERS = {
    "empty lines": b"\n",
    "short lines": b"ab\n",
    "tabs": b"\t",
    "one line": b"x",
}
READ = (
    "from kbtf.kernel.symvers import find_exports; "
    "assert find_exports('vmlinux', '6.12.0-test') is None"
)


@pytest.mark.integration
@pytest.mark.parametrize("size", [7 << 20, 60 << 20])
@pytest.mark.parametrize("shape", SYMVERS)
def test_exports_of_a_kernel_are_read_line_by_line(shape: str, size: int, tmp_path: Path) -> None:
    text = SYMVERS[shape] * (size // len(SYMVERS[shape]))
    (tmp_path / "Module.symvers").write_bytes(lzma.compress(text, preset=0))

    cost = run(["-c", READ], tmp_path, "python")

    assert not [*cost.mistakes()]
    assert cost.megabytes < 100


def symbols_of_suffixes() -> bytes:
    """Undefined symbols whose names all end alike, and are different."""
    random = Random(1)  # noqa: S311
    blocks = (bytes(random.choices(range(97, 123), k=4_000)) for _ in range(75))
    strings = b"\0" + b"\0".join(blocks) + b"\0"
    rows = ((at, 0, 0) for at in range(1, len(strings)) if strings[at])
    debug = dwarf.dwarf(dwarf.ROOT + dwarf.INT, dwarf.unit(dwarf.INT_DIE))
    return dwarf.module(debug + dwarf.symbols(rows, strings, 0))


@pytest.mark.integration
@pytest.mark.parametrize("command", ["kfuncs", "check --kernel small", "run --base small"])
def test_names_of_symbols_that_share_bytes_are_bounded(command: str, tmp_path: Path) -> None:
    (tmp_path / "m.ko.xz").write_bytes(lzma.compress(symbols_of_suffixes(), preset=1))
    (tmp_path / "small").write_bytes(make_base().build().to_bytes())

    cost = run([*command.split(), "m.ko.xz"], tmp_path)

    assert (tmp_path / "m.ko.xz").stat().st_size < 1_000_000
    assert list(cost.mistakes()) == []


def base_of_ints(size: int) -> bytes:
    """A base with nothing but one type, over and over."""
    types = struct.pack("<4I", 1, 1 << 24, 4, 32) * (size // 16)
    header = struct.pack("<HBB5I", 0xEB9F, 1, 0, 24, 0, len(types), len(types), 3)
    return header + types + b"\0a\0"


FOR_BASES = ("dump FILE", "dump --format c FILE", "base diff FILE FILE", "kfuncs FILE")


@pytest.mark.integration
@pytest.mark.parametrize("command", FOR_BASES)
def test_a_packed_base_is_bounded(command: str, tmp_path: Path) -> None:
    (tmp_path / "small.xz").write_bytes(as_file(base_of_ints(7 << 20)))
    (tmp_path / "large.xz").write_bytes(as_file(base_of_ints(60 << 20)))

    small = run(command.replace("FILE", "small.xz").split(), tmp_path)
    large = run(command.replace("FILE", "large.xz").split(), tmp_path)

    assert list(small.mistakes()) == []
    assert list(large.mistakes()) == []
    assert (small.code, large.code) == (0, 3)
