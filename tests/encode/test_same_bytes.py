# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A module's BTF does not depend on the number of jobs, the directory, or compressed sections."""

from __future__ import annotations

import os
import shutil
import subprocess
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


def large() -> ElfImage:
    """A module with lines that nobody reads."""
    image = ElfImage(source("structs"))
    more = bytes(range(256)) * (5 << 12)
    image.set_section(".debug_line", (image.data(".debug_line") or b"") + more)
    return image


THREADS = """
from kbtf import hookimpl

@hookimpl
def kbtf_after_link(module):
    print(module.threads)
"""


@pytest.mark.parametrize(
    ("options", "makeflags", "threads"),
    [
        ((), "", 2),
        (("-j0",), "", 2),
        (("-j9",), "w -- V=1", 2),
        (("-j1",), "", 1),
        ((), "w -j4 --jobserver-auth=fifo:/nowhere", 1),
        (("-j2",), " -j --jobserver-auth=3,4", 1),
    ],
)
def test_how_many_threads_read_a_large_module(
    options: tuple[str, ...],
    makeflags: str,
    threads: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAKEFLAGS", makeflags)
    (tmp_path / "threads.py").write_text(THREADS)
    (tmp_path / "m.ko").write_bytes(large().to_bytes())
    base = f"--base={CASES / 'base.131.btf'}"

    said = run(KBTF, "run", "-q", *options, "-p", "./threads.py", base, "m.ko", cwd=tmp_path)

    assert int(said) == min(threads, len(os.sched_getaffinity(0)))


def test_a_large_module_alone_and_with_others(tmp_path: Path) -> None:
    """Alone, its unchanged bytes are written while it is encoded."""
    image = large()
    base = f"--base={CASES / 'base.131.btf'}"
    for folder in ("alone", "both"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "large.ko").write_bytes(image.to_bytes())
    (tmp_path / "both" / "small.ko").write_bytes(source("kfuncs"))

    run(KBTF, "run", "-q", base, "large.ko", cwd=tmp_path / "alone")
    run(KBTF, "run", "-q", base, ".", cwd=tmp_path / "both")

    made = (tmp_path / "alone" / "large.ko").read_bytes()
    old, new = image.section(".debug_line"), ElfImage(made).section(".debug_line")
    assert ElfImage(made).data(".BTF")
    assert old is not None
    assert new is not None
    assert ElfImage(image.to_bytes()).section(".debug_line") == new, "it stays in place"
    assert made == (tmp_path / "both" / "large.ko").read_bytes()
    assert [path.name for path in (tmp_path / "alone").iterdir()] == ["large.ko"]


def test_a_large_module_that_cannot_be_encoded_stays(tmp_path: Path) -> None:
    image = large()
    image.set_section(".debug_abbrev", b"\xff" * 9)
    module = tmp_path / "large.ko"
    module.write_bytes(image.to_bytes())

    done = subprocess.run(
        [KBTF, "run", f"--base={CASES / 'base.131.btf'}", module], capture_output=True, check=False
    )

    assert done.returncode == 3
    assert module.read_bytes() == image.to_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["large.ko"]


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
