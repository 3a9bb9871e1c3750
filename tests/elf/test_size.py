# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A relocatable file that was rewritten is no larger than what objcopy makes of its sections."""

from __future__ import annotations

import itertools
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from kbtf.elf.image import ElfImage
from kbtf.elf.module import Module
from kbtf.testing import write_elf

pytestmark = pytest.mark.skipif(shutil.which("objcopy") is None, reason="no objcopy")

SOURCE = """
int given;
static int kept = 3, zeroed;
const char *const text = "some text";
__attribute__((section(".init.text"))) int start(void) { return kept + zeroed + given; }
int __attribute__((aligned(64))) wide[3] = {1};
"""
COMPILERS = {
    "gcc": ("gcc", "-c", "-g", "-ffunction-sections"),
    "clang": ("clang", "-c", "-g"),
    "ld -r": ("gcc", "-r", "-nostdlib", "-g"),
    "lld -r": ("clang", "-r", "-nostdlib", "-g", "-fuse-ld=lld"),
}
SIZES = (0, 1, 2, 3, 5, 8, 4097)


def compiled(folder: Path, compiler: str, source: str = SOURCE) -> Path | None:
    """*source*, compiled in *folder*; None if the compiler is not here."""
    command = COMPILERS[compiler]
    needed = [command[0], *(["ld.lld"] if "-fuse-ld=lld" in command else [])]
    if not all(map(shutil.which, needed)):
        return None
    (folder / "a.c").write_text(source)
    out = folder / f"{compiler.replace(' ', '')}.o"
    subprocess.run([*command, folder / "a.c", "-o", out], check=True, cwd=folder)
    return out


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each compiler that is here makes of the source."""
    folder = tmp_path_factory.mktemp("linked")
    made = {name: compiled(folder, name) for name in COMPILERS}
    return {name: path for name, path in made.items() if path is not None}


def objcopied(source: Path, sections: dict[str, bytes], folder: Path) -> Path:
    """*source* with these sections, by objcopy."""
    names = ElfImage(source.read_bytes())
    options: list[str] = []
    for number, (name, data) in enumerate(sections.items()):
        file = folder / f"{number}.bin"
        file.write_bytes(data)
        how = "add" if names.section(name) is None else "update"
        options += [f"--{how}-section", f"{name}={file}"]
    out = folder / "theirs"
    subprocess.run(["objcopy", *options, source, out], check=True)
    return out


def check(source: Path, sections: dict[str, bytes], folder: Path) -> None:
    """Ours has what objcopy's has, in no more bytes, and readelf finds nothing wrong with it."""
    image = ElfImage(source.read_bytes())
    for name, data in sections.items():
        image.set_section(name, data)
    ours = folder / "ours"
    ours.write_bytes(image.to_bytes())
    theirs = objcopied(source, sections, folder)

    wanted, found = ElfImage(theirs.read_bytes()), ElfImage(ours.read_bytes())
    assert ours.stat().st_size <= theirs.stat().st_size
    assert {name: found.data(name) for name in sections} == sections
    names = {s.name for s in found.sections if s.name not in (".symtab", ".strtab", ".shstrtab")}
    assert {s.name for s in wanted.sections} >= {name for name in names if ".rel" not in name}
    said = subprocess.run(
        ["readelf", "-aW", ours], capture_output=True, text=True, check=True
    ).stderr
    assert [line for line in said.splitlines() if "no .dynamic" not in line] == []


@pytest.mark.parametrize("compiler", COMPILERS)
def test_what_compilers_make_grows_no_more_than_with_objcopy(
    compiler: str, linked: dict[str, Path], tmp_path: Path
) -> None:
    if compiler not in linked:
        pytest.skip(f"no {compiler}")
    for one, other in itertools.product(SIZES, SIZES):
        sections = {".BTF": b"b" * one, ".BTF.base": b"a" * other}
        check(linked[compiler], sections, tmp_path)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("more", range(8))
def test_it_holds_however_long_the_strings_are(more: int, compiler: str, tmp_path: Path) -> None:
    """Names of directories in DWARF move what follows them."""
    folder = tmp_path / ("x" * (more + 1))
    folder.mkdir()
    made = compiled(folder, compiler)
    if made is None:
        pytest.skip(f"no {compiler}")
    for btf, base in ((0, 0), (1, 5), (3, 3), (8, 0)):
        check(made, {".BTF": bytes(btf), ".BTF.base": bytes(base)}, folder)


@pytest.mark.parametrize("bits", [32, 64])
def test_a_section_that_shrinks_makes_the_file_smaller(bits: int) -> None:
    contents = {".text": b"t" * 100, ".BTF": b"b" * 5000, ".data": b"d" * 100}
    before = write_elf(contents, bits=bits)
    image = ElfImage(before)
    image.set_section(".BTF", b"b" * 1000)

    after = image.to_bytes()

    assert len(after) <= len(before) - 4000
    assert ElfImage(after).data(".data") == contents[".data"]
    smaller = ElfImage(after)
    smaller.remove_section(".BTF")
    assert len(smaller.to_bytes()) <= len(before) - 5000


def test_what_an_earlier_run_left_behind_goes(tmp_path: Path) -> None:
    contents = {".text": b"t" * 100, ".BTF": b"b" * 5000}
    plain = write_elf(contents)
    # as a file that only grew: a dead copy of .BTF in a gap
    gap = ElfImage(plain)
    assert gap.sections[2].name == ".BTF"
    gap.set_section(".BTF", b"c" * 6000)
    image = ElfImage(gap.to_bytes())
    image.set_section(".BTF", b"b" * 5000)

    assert len(image.to_bytes()) <= len(plain)


def test_real_modules_are_no_larger_than_with_objcopy(tmp_path: Path) -> None:
    modules = sorted(Path("/lib/modules").rglob("*.ko*"))[::150]
    if not modules:
        pytest.skip("no kernel modules are installed")
    source = tmp_path / "module.ko"
    for path in modules:
        module = Module.open(str(path))
        module.require_unsigned(strip=True)
        source.write_bytes(module.to_bytes())
        btf = module.image.data(".BTF") or b""
        check(source, {".BTF": btf + bytes(99), ".BTF.base": btf[:777]}, tmp_path)


def stays_in_place(old: ElfImage, new: ElfImage) -> bool:
    """Whether all contents but the names of sections are where they were."""
    return all(
        (before.offset, before.size) == (after.offset, after.size)
        for before, after in zip(old.sections, new.sections, strict=False)
        if before.file_size and before.name != ".shstrtab"
    )


def test_sections_stay_in_place_if_that_costs_nothing(tmp_path: Path) -> None:
    """So that most of a large file can be written while it is encoded."""
    source = compiled(tmp_path, "ld -r")
    if source is None:
        pytest.skip("no gcc")
    old = ElfImage(source.read_bytes())
    in_place = 0
    for size in range(64):
        check(source, {".BTF": b"b" * 400, ".BTF.base": b"a" * size}, tmp_path)
        in_place += stays_in_place(old, ElfImage((tmp_path / "ours").read_bytes()))
    assert in_place > 32


def test_sections_that_are_not_aligned_in_the_file_stay(tmp_path: Path) -> None:
    """As `ld -r` of binutils 2.44 leaves them."""
    source = compiled(tmp_path, "ld -r")
    if source is None:
        pytest.skip("no gcc")
    data = bytearray(source.read_bytes())
    old = ElfImage(bytes(data))
    (shoff,) = struct.unpack_from("<Q", data, 0x28)
    for section in old.sections[1:]:
        if section.file_size:
            # one bit more than its offset has
            align = (section.offset & -section.offset) * 2
            struct.pack_into("<Q", data, shoff + 64 * section.number + 48, min(align, 4096))
    image = ElfImage(bytes(data))
    image.set_section(".BTF", bytes(400))
    assert stays_in_place(image, ElfImage(image.to_bytes()))
