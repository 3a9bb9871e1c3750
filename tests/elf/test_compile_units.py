# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Compile units of what real compilers make, and of damaged files."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from conftest import missing
from kbtf import ElfImage, KbtfError
from kbtf.elf.compile_units import compile_units
from kbtf.program import main
from kbtf.testing import make_module

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "int answer(int n) { return n + 42; }\n"
# The command, the beginning of the compiler's name, the language, DWARF's version, split or not.
COMPILERS = {
    "gcc": ("gcc -std=gnu11 -gdwarf-5", "GNU C11 ", "C11", 5, False),
    "gcc, DWARF 4": ("gcc -std=gnu99 -gdwarf-4", "GNU C99 ", "C99", 4, False),
    "gcc, compressed": ("gcc -std=gnu11 -gdwarf-5 -gz=zlib", "GNU C11 ", "C11", 5, False),
    "gcc, 64 bits": ("gcc -std=gnu11 -gdwarf-5 -gdwarf64", "GNU C11 ", "C11", 5, False),
    "g++": ("g++ -x c++ -std=c++14 -gdwarf-5", "GNU C++14 ", "C++14", 5, False),
    "clang": ("clang -gdwarf-5", "Debian clang version ", "C99", 5, False),
    "clang, DWARF 4": ("clang -gdwarf-4", "Debian clang version ", "C99", 4, False),
    "gcc, split": ("gcc -gdwarf-5 -gsplit-dwarf", None, None, 5, True),
    "gcc, split DWARF 4": ("gcc -gdwarf-4 -gsplit-dwarf", None, None, 4, True),
    "clang, split": ("clang -gdwarf-5 -gsplit-dwarf", None, None, 5, True),
}


def compiled(folder: Path, name: str, command: str) -> Path:
    source, output = folder / f"{name}.c", folder / f"{name}.o"
    source.write_text(SOURCE.replace("answer", name))
    words = command.split()
    if shutil.which(words[0]) is None:
        missing(f"{words[0]} is not installed")
    subprocess.run([*words, "-c", source, "-o", output], check=True, cwd=folder)
    return output


@pytest.mark.parametrize("case", COMPILERS)
def test_what_a_compiler_says_of_itself(tmp_path: Path, case: str) -> None:
    command, compiler, language, version, is_split = COMPILERS[case]

    (unit,) = compile_units(compiled(tmp_path, "one", command).read_bytes())

    assert (unit.dwarf_version, unit.is_split) == (version, is_split)
    if is_split:
        return  # what a skeleton names beside the .dwo is the compiler's choice
    assert unit.name is not None
    assert unit.name.endswith("one.c")
    assert unit.language == language
    assert compiler is not None
    assert unit.compiler is not None
    assert unit.compiler.startswith(compiler)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_unit_whose_code_is_in_several_sections(compiler: str, tmp_path: Path) -> None:
    (tmp_path / "two.c").write_text("int one(void) { return 1; } int two(void) { return 2; }\n")
    if shutil.which(compiler) is None:
        missing(f"{compiler} is not installed")
    command = [compiler, "-gdwarf-5", "-ffunction-sections", "-c", "two.c"]
    subprocess.run(command, check=True, cwd=tmp_path)

    (unit,) = compile_units((tmp_path / "two.o").read_bytes())

    assert (unit.name, unit.dwarf_version) == ("two.c", 5)


def test_units_that_were_linked_into_one_file(tmp_path: Path) -> None:
    parts = [
        compiled(tmp_path, "first", "gcc -gdwarf-5"),
        compiled(tmp_path, "second", "g++ -x c++ -gdwarf-4"),
        compiled(tmp_path, "third", "clang -gdwarf-5"),
    ]
    linked = tmp_path / "linked.ko"
    subprocess.run(["ld", "-r", *parts, "-o", linked], check=True)

    units = compile_units(linked.read_bytes())

    assert [unit.name.rpartition("/")[2] for unit in units if unit.name] == [
        "first.c",
        "second.c",
        "third.c",
    ]
    assert [unit.dwarf_version for unit in units] == [5, 4, 5]


def test_a_file_without_dwarf_has_none(tmp_path: Path) -> None:
    assert compile_units(make_module()) == []


def test_show_lists_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.ko"
    image = ElfImage(compiled(tmp_path, "one", "gcc -std=gnu11 -gdwarf-5").read_bytes())
    image.set_section(".modinfo", b"name=one\0vermagic=6.12.0 SMP\0")
    path.write_bytes(image.to_bytes())

    assert main(["show", "-v", str(path)]) == 0
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row[0] == str(path)
    assert row[2:4] == ["GNU", "C11"]
    assert row[-2:] == ["C11", "5"]

    assert main(["show", "-v", "--json", str(path)]) == 0
    (module,) = json.loads(capsys.readouterr().out)["modules"]
    (unit,) = module["compile_units"]
    assert unit["language"] == "C11"


def test_damaged_dwarf_is_an_error_of_ours(tmp_path: Path) -> None:
    data = compiled(tmp_path, "one", "gcc -gdwarf-5").read_bytes()
    chance = random.Random(5)  # noqa: S311 - no secret
    refused = []
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(data))] = chance.choice([0, 1, 127, 128, 255])
        try:
            compile_units(bytes(changed))
        except KbtfError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert not any("\n" in line for line in refused)
