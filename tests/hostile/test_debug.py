# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whatever the debug sections of a small module hold, reading them ends soon, in little memory."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest

from hostile.cost import run
from hostile.debug import SHAPES
from hostile.dwarf import (
    ALLOC,
    EXPRLOC,
    HEAD,
    LOCATION,
    ONE_FUNCTION,
    ROOT,
    VARIABLE,
    Section,
    abbreviation,
    dwarf,
    linked,
    module,
    symbols,
    uleb,
    unit,
)
from kbtf import DwarfError, ElfImage
from kbtf.encode.dwarf import encode_dwarf, encode_kernel
from kbtf.testing import make_base

if TYPE_CHECKING:
    from pathlib import Path

    from kbtf.encode.dwarf import Encoded

COMMANDS = {
    "encode": "encode --base small m.ko -o out",
    "encode --strict": "encode --strict --profile 131 --base small m.ko -o out",
    "run": "run --dry-run --no-cache --base small m.ko",
    "show -v": "show -v m.ko",
    "pahole": "-J --btf_base small --btf_encode_detached=out m.ko",
}


def ids(*rows: tuple[bytes, int, int]) -> bytes:
    """A module whose .BTF_ids has a set of one kfunc: symbols, their places and how many times."""
    strings, table = b"\0", []
    for name, place, times in rows:
        table += [(len(strings), 0, place)] * times
        strings += name + b"\0"
    section = Section(".BTF_ids", struct.pack("<6I", 1, 1, 0, 0, 0, 0), 1, ALLOC)
    return module([section, *dwarf(ROOT, unit(b"\0")), *symbols(table, strings, len(HEAD))])


def encoded(data: bytes) -> Encoded:
    return encode_dwarf(ElfImage(data), make_base().build(), profile=131)


def test_very_many_kfunc_sets_are_not_compared_with_all_kfuncs() -> None:
    times = 200_000
    data = ids((b"__BTF_ID__set8__s", 0, times), (b"__BTF_ID__func__f__1", 8, times))
    began = time.process_time()

    assert encoded(data).notes == ()

    assert time.process_time() - began < 5


def test_a_kfunc_is_in_any_of_the_sets_that_overlap() -> None:
    sets = ((b"__BTF_ID__set8__a", 0, 1), (b"__BTF_ID__set8__b", 0, 3))
    for place, names in ((4, ["f"]), (7, ["f"]), (8, [])):
        data = ids(*sets, (b"__BTF_ID__func__f__1", place, 1))
        assert [note.name for note in encoded(data).notes] == names


def test_notes_about_kfuncs_are_limited() -> None:
    with pytest.raises(DwarfError, match="too much work"):
        encoded(ids((b"__BTF_ID__set8__s", 0, 1), (b"__BTF_ID__func__f__1", 4, 200_000)))


def test_sections_of_a_kernel_are_not_all_looked_through_for_each_variable() -> None:
    one = uleb(2) + uleb(9) + b"\3" + struct.pack("<Q", 0xFFFFFFFFFFF0)
    table = ROOT + abbreviation(2, VARIABLE, LOCATION, EXPRLOC)
    sections = [*dwarf(table, unit(one * 100_000 + b"\0")), *ONE_FUNCTION]
    sections += [Section("x", HEAD[1].data, 1, ALLOC)] * 65_000
    began = time.process_time()

    with pytest.raises(DwarfError, match="too much work"):
        encode_kernel(ElfImage(linked(sections)))

    assert time.process_time() - began < 5


@pytest.mark.integration
@pytest.mark.parametrize("shape", SHAPES)
def test_debug_sections_are_bounded(shape: str, tmp_path: Path) -> None:
    data = module(SHAPES[shape]())
    assert len(data) < 1_000_000
    (tmp_path / "m.ko").write_bytes(data)
    (tmp_path / "small").write_bytes(make_base().build().to_bytes())

    found = {}
    for name, command in COMMANDS.items():
        program = "kbtf-pahole" if name == "pahole" else "kbtf"
        found[name] = list(run(command.split(), tmp_path, program).mistakes())

    assert {name: mistakes for name, mistakes in found.items() if mistakes} == {}
