# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The reader of DWARF sees the DIEs that pyelftools sees, with the same attributes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from elftools.dwarf.enums import ENUM_DW_TAG
from elftools.elf.elffile import ELFFile

import real
from native.build import CORE, HERE, INCLUDE, WARN, output_of

if TYPE_CHECKING:
    from pathlib import Path

    from elftools.dwarf.die import DIE

CASES = real.encoding_cases() / "cases"
NOT_READ = (
    *("gz-zlib", "gz-zstd"),  # Python decompresses before the reader
    *("empty", "no-dwarf"),  # have no DIEs
    *("global-var", "percpu-clang", "multi-cu-ppc64le"),  # relocations unknown to pyelftools
    *("riscv64", "type-units-dwarf4"),
)
NAMES = sorted(path.name for path in CASES.iterdir() if path.name not in NOT_READ)

SLOTS = (
    *("sibling", "location", "name", "byte_size", "bit_offset", "bit_size", "low_pc", "language"),
    *("const_value", "inline", "producer", "upper_bound", "abstract_origin", "artificial"),
    *("calling_convention", "count", "data_member_location", "declaration", "encoding"),
    *("external", "specification", "type", "data_bit_offset", "str_offsets_base", "addr_base"),
    *("loclists_base", "dwo_name", "GNU_annotation"),
)
"""The attributes by number: enum slot of kbtf/native/dwarf/reader.h."""
SIGNED, NAME, REF, BLOCK = "2", "4", "5", "6"  # enum value_class
RAW = ("DW_FORM_loclistx", "DW_FORM_addrx", "DW_FORM_addrx1")  # as they stand, not looked up


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that prints what the reader sees."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    program = tmp_path_factory.mktemp("reader") / "dies"
    output_of("gcc", *WARN, "-g", *INCLUDE, HERE / "dies.c", *CORE, "-o", program)
    return program


def seen_by_us(reader: Path, path: Path) -> list[tuple[int, int, dict[str, object]]]:
    dies = []
    for line in output_of(reader, path).splitlines():
        (offset, tag), *rest = (word.split(" ") for word in line.split("\t"))
        values = {SLOTS[int(slot)]: value_of(kind, value) for slot, kind, value in rest}
        dies.append((int(offset, 16), int(tag, 16), values))
    return dies


def value_of(kind: str, value: str) -> object:
    if kind in (NAME, BLOCK):
        return bytes.fromhex(value)
    number = int(value or "0", 16)
    return number - (1 << 64) if kind == SIGNED and number >> 63 else number


def seen_by_pyelftools(path: Path) -> list[tuple[int, int, dict[str, object]]]:
    with path.open("rb") as file:
        dwarf = ELFFile(file).get_dwarf_info()
        dies = [die for unit in dwarf.iter_CUs() for die in unit.iter_DIEs() if die.tag]
        return [(die.offset, tag_of(die), attributes_of(die)) for die in dies]


def tag_of(die: DIE) -> int:
    tag = die.tag
    return tag if isinstance(tag, int) else ENUM_DW_TAG[str(tag)]


def attributes_of(die: DIE) -> dict[str, object]:
    found = {}
    for name, attribute in die.attributes.items():
        short = str(name).removeprefix("DW_AT_")
        if short not in SLOTS:
            continue
        value = attribute.raw_value if attribute.form in RAW else attribute.value
        if isinstance(value, list):
            value = bytes(value)
        elif attribute.form.startswith("DW_FORM_ref") and attribute.form != "DW_FORM_ref_addr":
            value += die.cu.cu_offset
        found[short] = int(value) if isinstance(value, bool) else value
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_die_is_read_as_by_pyelftools(name: str, reader: Path) -> None:
    path = CASES / name / "m.ko"
    expected = seen_by_pyelftools(path)
    assert expected
    assert seen_by_us(reader, path) == expected
