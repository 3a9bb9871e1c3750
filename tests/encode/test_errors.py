# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What cannot be encoded is one line and exit code 3, and leaves no file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import real
from hostile.debug import mixed_units
from hostile.dwarf import (
    BASE,
    DATA1,
    ENCODING,
    FUNC,
    INT,
    INT_DIE,
    NAME,
    ROOT,
    SIZE,
    STRING,
    abbreviation,
    dwarf,
    symbols,
    unit,
)
from hostile.dwarf import module as hostile_module
from kbtf import DwarfError, ElfImage
from kbtf.encode.dwarf import encode_dwarf
from kbtf.encode.notes import Note, remarks_on
from kbtf.testing import make_base
from oracles.build import run

CASES = real.encoding_cases()
KBTF = Path(sys.executable).with_name("kbtf")


def compiled(into: Path, *options: str) -> None:
    run("gcc", "-O2", "-g", *options, "-c", CASES / "cases/structs/a.c", "-o", into)


MODULES = {
    "no-dwarf": "has no debug information (DWARF); compile it with -g",
    "split": "the types are in other files (split DWARF): compile without -gsplit-dwarf",
    "type-units": "no unit can be encoded: a type unit of -fdebug-types-section (DIE 0x18) cannot "
    "be expressed in BTF",
    "only-debug": ".BTF_ids has no contents: the code is in another file",
    "atomic-fails": "no unit can be encoded: a.c: an atomic type (DIE 0x4a) cannot be expressed in "
    "BTF",
}


def make(name: str, into: Path) -> None:
    if name == "split":
        compiled(into, "-gsplit-dwarf")
    elif name == "type-units":
        compiled(into, "-gdwarf-5", "-fdebug-types-section")
    elif name == "only-debug":
        run("objcopy", "--only-keep-debug", CASES / "cases/kfuncs/m.ko", into)
    else:
        shutil.copy(CASES / "cases" / name / "m.ko", into)


@pytest.mark.parametrize("name", MODULES)
def test_what_cannot_be_encoded_is_one_line(name: str, tmp_path: Path) -> None:
    module, output = tmp_path / "m.ko", tmp_path / "m.btf"
    make(name, module)
    command: list[str | Path] = [
        KBTF,
        "encode",
        f"--base={CASES / 'base.131.btf'}",
        module,
        "-o",
        output,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"kbtf: error: {module}: {MODULES[name]}\n"
    assert not output.exists()


def test_the_first_of_two_equal_attributes_counts() -> None:
    """As pahole and readelf have it; gcc 14 names some base types twice."""
    twice = abbreviation(2, BASE, NAME, STRING, NAME, STRING, SIZE, DATA1, ENCODING, DATA1)
    info = unit(b"\2first\0second\0\4\5" + b"\0")
    image = ElfImage(hostile_module(dwarf(ROOT + twice, info)))
    btf = encode_dwarf(image, make_base().build()).btf
    assert [type_.name for type_ in btf] == ["first"]


def test_a_symbol_whose_name_is_outside_of_the_strings_has_no_valid_name() -> None:
    info = dwarf(ROOT + INT, unit(INT_DIE + b"\0"))
    image = ElfImage(hostile_module([*info, *symbols([(9, FUNC, 0)], b"\0f\0")]))
    with pytest.raises(DwarfError, match="symbol 1 has no valid name"):
        encode_dwarf(image, make_base().build())


COMMANDS = {
    "encode": "kbtf encode --base base m.ko -o out",
    "run": "kbtf run --no-cache --base base m.ko -o out",
    "pahole": "kbtf-pahole -J --btf_base base --btf_encode_detached=out m.ko",
}


def said_when_encoding(how: str, module: bytes, folder: Path) -> str:
    """What one of the ways to encode *module* prints on standard error."""
    (folder / "m.ko").write_bytes(module)
    (folder / "base").write_bytes(make_base().build().to_bytes())
    program, *words = COMMANDS[how].split()
    command = [str(KBTF.with_name(program)), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize("how", COMMANDS)
def test_a_module_whose_sources_have_no_dwarf_is_warned_of(how: str, tmp_path: Path) -> None:
    """Kbuild compiles others with -g, which are linked into each module."""
    said = said_when_encoding(how, hostile_module(dwarf(ROOT, unit(b""))), tmp_path)
    warning = "its DWARF describes none of its own code: compile its sources with -g"
    program = COMMANDS[how].split()[0]
    assert said == f"{program}: warning: m.ko: {warning}\n"


@pytest.mark.parametrize("how", COMMANDS)
def test_of_very_many_warnings_the_first_are_printed(how: str, tmp_path: Path) -> None:
    *first, last = said_when_encoding(how, hostile_module(mixed_units()), tmp_path).splitlines()
    assert len(first) == 16
    assert all(": a unit is left out: " in line for line in first)
    assert re.fullmatch(r"kbtf.*: warning: m\.ko: and \d{5} more units", last)


@pytest.mark.parametrize(
    ("units", "last"),
    [(17, "and 1 more unit"), (18, "and 2 more units"), (1, "a unit is left out: u")],
)
def test_the_units_that_are_not_listed_are_counted(units: int, last: str) -> None:
    assert [remark.text for remark in remarks_on([Note("unit", "u")] * units)][-1] == last


def test_references_to_no_type_are_counted() -> None:
    assert str(Note("reference", "1")).startswith("1 reference is ")
    assert str(Note("reference", "2")).startswith("2 references are ")


def test_json_lists_all_that_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "m.ko").write_bytes(hostile_module(mixed_units()))
    (tmp_path / "base").write_bytes(make_base().build().to_bytes())

    command = [str(KBTF), "encode", "--json", "--base", "base", "m.ko", "-o", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)

    assert len(json.loads(done.stdout)["left_out"]) > 10_000
