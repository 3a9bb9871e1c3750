# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A module's BTF does not depend on the number of jobs, the directory, or compressed sections."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import real
from conftest import missing
from kbtf import Btf, ElfImage, Module
from kbtf.encode.dwarf import encode_dwarf
from oracles.build import run

CASES = real.encoding_cases()
MODULES = ("structs", "functions-clang", "multi-cu-dwarf4", "kfuncs", "percpu")
KBTF = Path(sys.executable).with_name("kbtf")
COMPRESS = {
    "zlib": ("objcopy", "--compress-debug-sections=zlib-gabi"),
    "zlib-gnu": ("objcopy", "--compress-debug-sections=zlib-gnu"),
    "zstd": ("objcopy", "--compress-debug-sections=zstd"),
}


def encoded_by_run(work: Path, *options: str) -> dict[str, bytes]:
    """What `kbtf run` makes of the modules in a directory."""
    work.mkdir(parents=True)
    for name in MODULES:
        shutil.copy(CASES / "cases" / name / "m.ko", work / f"{name}.ko")
    base = f"--base={CASES / 'base.131.btf'}"
    run(KBTF, "run", "-q", "--no-cache", *options, base, "--distill=never", ".", cwd=work)
    return {path.name: path.read_bytes() for path in sorted(work.glob("*.ko"))}


def test_jobs_and_directories_do_not_matter(tmp_path: Path) -> None:
    one = encoded_by_run(tmp_path / "one", "-j1")
    assert all(Module.open(str(tmp_path / "one" / name)).has_btf for name in one)
    assert encoded_by_run(tmp_path / "another" / "directory", "-j3") == one


@pytest.mark.parametrize("how", COMPRESS)
@pytest.mark.parametrize("name", ["structs", "functions-clang", "kfuncs"])
def test_compressed_sections_give_the_same(name: str, how: str, tmp_path: Path) -> None:
    program, option = COMPRESS[how]
    if not shutil.which(program):
        missing(f"no {program}")
    packed = tmp_path / "packed.ko"
    run(program, option, CASES / "cases" / name / "m.ko", packed)
    image = ElfImage(packed.read_bytes())
    assert image.data(".debug_info") != ElfImage(source(name)).data(".debug_info")
    base = Btf.parse((CASES / "base.131.btf").read_bytes())
    expected = (CASES / "cases" / name / "expect.131.btf").read_bytes()
    assert encode_dwarf(image, base).btf.to_bytes() == expected
    assert encode_dwarf(image, base).btf.to_bytes() == expected, "twice in a row"


def source(name: str) -> bytes:
    return (CASES / "cases" / name / "m.ko").read_bytes()
