# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Modules of other machines: after an edit, everybody's tools read them as before."""

from __future__ import annotations

import functools
import io
import re
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from elftools.elf.elffile import ELFFile

import real
from conftest import missing, or_missing
from kbtf import Btf, BtfBuilder, Kind, Module, read_ids, resolve_ids
from kbtf.testing import make_ids, make_module

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

# GNU's tools for one machine read those of others as a plain ELF class and byte order.
GNU_TARGET = {"i386": "elf32-i386", "s390x": "elf64-big", "arm64": "elf64-little"}
ADDED = {".BTF": b"b" * 1001, ".BTF.base": b"B" * 7, ".kbtf_test": b"t" * 4099}
SIGNATURE_END = b"~Module signature appended~\n"


def tool(*words: str | Path) -> str:
    """What a program prints, and complains of."""
    if not shutil.which(str(words[0])):
        missing(f"{words[0]} is not installed")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if words[0] != "eu-elflint":
        assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@functools.cache
def modules_of(arch: str) -> list[Path]:
    """Its modules, among them those that have ``.BTF_ids``."""
    with or_missing():
        folder = real.foreign_modules(arch)
    found = sorted(folder.rglob("*.ko"))
    assert len(found) > 20
    return found


class Edited:
    """A module without its signature, before and after sections were added to it."""

    def __init__(self, path: Path, folder: Path) -> None:
        module = Module.open(str(path))
        module.require_unsigned(strip=True)
        self.before, self.after = folder / "before.ko", folder / "after.ko"
        self.before.write_bytes(module.to_bytes())
        for name, data in ADDED.items():
            module.set_section(name, data)
        self.after.write_bytes(module.to_bytes())


@pytest.fixture(params=GNU_TARGET)
def arch(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def contents(path: Path) -> dict[str, bytes]:
    with open(path, "rb") as file:
        return {section.name: section.data() for section in ELFFile(file).iter_sections()}


def test_the_modules_are_of_the_machine_and_signed(arch: str) -> None:
    expected = {
        "i386": (32, True, "EM_386"),
        "s390x": (64, False, "EM_S390"),
        "arm64": (64, True, "EM_AARCH64"),
    }[arch]
    for path in modules_of(arch):
        data = path.read_bytes()
        elf = ELFFile(io.BytesIO(data))
        assert (elf.elfclass, elf.little_endian, elf["e_machine"]) == expected
        assert data.endswith(SIGNATURE_END)
        assert Module(data).signature is not None


def test_what_is_left_of_a_signature_is_the_elf_file(arch: str, tmp_path: Path) -> None:
    for path in modules_of(arch):
        before = Edited(path, tmp_path).before.read_bytes()

        elf = ELFFile(io.BytesIO(before))
        table_end = elf["e_shoff"] + elf["e_shnum"] * elf["e_shentsize"]
        # the linker writes the section header table last
        assert len(before) == table_end
        assert path.read_bytes().startswith(before)


def old_sections_as_read(path: Path, count: int) -> list[str]:
    """What readelf says of the first *count* sections, of symbols, relocations and notes.

    But not where in the file they are: sections may move.
    """
    lines = tool("readelf", "-SW", "-sW", "-rW", "-n", path).splitlines()
    kept = []
    for line in lines:
        row = re.match(r"  \[ *(\d+)\] (\S*)", line)
        if row and int(row[1]) >= count:
            continue
        # the names are one table, which grows; replaced contents are compared byte by byte
        if row and row[2] in (".shstrtab", ".BTF"):
            line = row[0]
        elif row:
            line = re.sub(r"( [0-9a-f]{8,16}) [0-9a-f]{6,} ", r"\1 ", line, count=1)
        line = re.sub(r"^(Relocation section '.*') at offset 0x[0-9a-f]+", r"\1", line)
        kept.append(re.sub(r"^There are \d+ section headers, starting at .*", "", line))
    return kept


def test_readelf_reads_what_was_there_as_before(arch: str, tmp_path: Path) -> None:
    for path in modules_of(arch):
        edited = Edited(path, tmp_path)
        old, new = contents(edited.before), contents(edited.after)
        count = len(old)

        before = old_sections_as_read(edited.before, count)
        assert len(before) > 2 * count
        assert old_sections_as_read(edited.after, count) == before
        unchanged = old.keys() - ADDED.keys() - {".shstrtab"}
        assert {name: new[name] for name in unchanged} == {name: old[name] for name in unchanged}
        assert new.items() >= ADDED.items()
        assert list(new) == [*old, *(name for name in ADDED if name not in old)]


def test_elflint_finds_nothing_that_it_did_not_find_before(arch: str, tmp_path: Path) -> None:
    for path in modules_of(arch):
        edited = Edited(path, tmp_path)

        before = set(tool("eu-elflint", "--gnu-ld", edited.before).splitlines())
        after = set(tool("eu-elflint", "--gnu-ld", edited.after).splitlines())
        assert after - before <= {"No errors"}


def test_other_readers_list_the_sections(arch: str, tmp_path: Path) -> None:
    for path in modules_of(arch):
        edited = Edited(path, tmp_path)

        listed = tool("objdump", "-h", edited.after)
        sizes = dict(re.findall(r"^ *\d+ (\S+) +([0-9a-f]{8}) ", listed, re.MULTILINE))
        assert {name: int(sizes[name], 16) for name in ADDED} == {
            name: len(data) for name, data in ADDED.items()
        }
        read = tool("eu-readelf", "-S", "-s", "-r", edited.after)
        assert all(f" {name} " in read for name in ADDED)


def test_stripping_and_copying_keep_the_sections(arch: str, tmp_path: Path) -> None:
    target = GNU_TARGET[arch]
    for path in modules_of(arch)[::4]:
        edited = Edited(path, tmp_path)
        old = contents(edited.before)
        for number, command in enumerate(
            (
                ["strip", "-F", target, "-g", "-o", "{out}", "{in}"],
                ["objcopy", "-F", target, "{in}", "{out}"],
                ["eu-strip", "-g", "-o", "{out}", "{in}"],
            )
        ):
            out = tmp_path / f"{path.stem}.{number}"
            places = {"{in}": edited.after, "{out}": out}
            tool(*(places.get(word, word) for word in command))

            copied = contents(out)
            assert copied.items() >= ADDED.items()
            assert copied[".modinfo"] == old[".modinfo"]


def test_the_sections_can_be_taken_off_again(arch: str, tmp_path: Path) -> None:
    for path in modules_of(arch)[::4]:
        edited = Edited(path, tmp_path)
        out = tmp_path / "out.ko"
        removals = [f"--remove-section={name}" for name in ADDED]
        tool("objcopy", "-F", GNU_TARGET[arch], *removals, edited.after, out)

        old, new = contents(edited.before), contents(out)
        kept = {n for n in old if not n.startswith((".rel", ".sym", ".str", ".shstr"))} - set(ADDED)
        assert {name: new[name] for name in kept} == {name: old[name] for name in kept}


# Ids are words in the byte order of the file


def module_with_ids(bits: int, byte_order: str) -> tuple[bytes, bytes]:
    """A module with unresolved ids, and the base of its BTF."""
    b = BtfBuilder(byte_order=byte_order)
    integer = b.add_int("int", 4, encoding=1)
    b.add_composite(Kind.STRUCT, "task", 8, [("pid", integer, 0)])
    base = b.build()
    s = BtfBuilder(base)
    proto = s.add_func_proto(integer)
    for name in ("c", "a", "b"):
        s.add_func(name, proto)
    ids = make_ids(
        {"a_list": [("struct", "task"), ("func", "a")]},
        {"a_set": [("func", "b"), ("func", "c")]},
        {"kfuncs": [("func", "a", 1), ("func", "b", 0), ("func", "c", 0x80)]},
        byte_order=byte_order,
    )
    data = make_module(btf=s.to_bytes(), ids=ids, bits=bits, byte_order=byte_order)
    return data, base.to_bytes()


@pytest.mark.parametrize(("bits", "byte_order"), [(32, "big"), (64, "big"), (64, "little")])
def test_ids_are_resolved_as_resolve_btfids_does(
    bits: int, byte_order: str, resolve_btfids: Path, tmp_path: Path
) -> None:
    data, base = module_with_ids(bits, byte_order)
    path, base_path = tmp_path / "a.ko", tmp_path / "base.btf"
    path.write_bytes(data)
    base_path.write_bytes(base)
    tool(resolve_btfids, "-b", base_path, path)
    expected = contents(path)[".BTF_ids"]
    module = Module(data)

    ids = read_ids(module.image)
    assert ids is not None
    resolution = resolve_ids(ids, Btf.parse(contents(path)[".BTF"], Btf.parse(base)))
    module.btf_ids = resolution.ids.to_bytes()

    assert resolution.warnings == []
    assert module.btf_ids == expected
    path.write_bytes(module.to_bytes())
    assert contents(path)[".BTF_ids"] == expected
    # struct task is 2; the functions c, a, b are 4, 5, 6
    order = ">" if byte_order == "big" else "<"
    words = (2, 5, 2, 4, 6, 3, 1, 4, 0x80, 5, 1, 6, 0)
    assert expected == struct.pack(f"{order}{len(words)}I", *words)
