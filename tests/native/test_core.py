# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The C core: clean under every compiler, covered in every branch, and unhurt without memory."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kbtf
from conftest import missing
from kbtf import BtfBuilder, Kind
from native import coverage
from native.build import (
    EXTENSION_FLAGS,
    HERE,
    INCLUDE,
    ROOT,
    SANITIZE,
    SOURCES,
    WARN,
    compile_allocator,
    compile_core,
    install,
    output_of,
)

EVERYDAY = ("tests/btf", "tests/elf", "tests/check", "tests/cli")
MEASURES_TIME = "tests/btf/test_deduplicate.py::test_a_hostile_file_takes_seconds_at_most"
NOT_SANITIZED = (
    # measures memory
    "tests/kernel/test_base.py::test_opening_vmlinuz_costs_little_memory_and_few_imports",
    MEASURES_TIME,
    # runs kbtf without the variables that bring the sanitizer in
    "tests/cli/test_dump.py::test_names_leave_as_they_are",
)
COMPILERS = {
    "gcc": ("gcc", "-O2", *WARN),
    "clang": ("clang", "-O2", *WARN),
    "gcc -fanalyzer": ("gcc", "-O2", "-fanalyzer", *WARN),
}


@pytest.mark.integration
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.name))
def test_a_file_compiles_without_a_warning(source: Path, compiler: str, tmp_path: Path) -> None:
    if not shutil.which(COMPILERS[compiler][0]):
        missing(COMPILERS[compiler][0])

    flags = (*COMPILERS[compiler], *EXTENSION_FLAGS, *INCLUDE)
    output_of(*flags, "-c", source, "-o", tmp_path / "out.o")


def write_blobs(folder: Path, byte_order: str) -> tuple[Path, Path]:
    """A base and split BTF on it, of a size for which every table grows while it is distilled."""
    b = BtfBuilder(byte_order=byte_order)
    b.add_int("int", 4)
    for n in range(200):
        b.add_composite(Kind.STRUCT, f"struct_{n}", n + 4)
    for n in range(300):
        b.add_ref(Kind.PTR, n + 1 if n < 200 else b.next_id - 1)
    s = BtfBuilder(b.build())
    last = s.next_id - 1
    s.add_composite(Kind.STRUCT, "own", 800, [(f"m{n}", last - n, 64 * n) for n in range(100)])
    for n in range(300):
        s.add_composite(Kind.STRUCT, f"own_{n}", n, [("first", 2 + n % 200, 0)])
    base, split = folder / "base.btf", folder / "split.btf"
    base.write_bytes(b.to_bytes())
    split.write_bytes(s.to_bytes())
    return base, split


@pytest.mark.integration
@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_each_allocation_may_fail(byte_order: str, tmp_path: Path) -> None:
    program = compile_core(tmp_path / "core", "-O1", *SANITIZE)

    said = output_of(program, *write_blobs(tmp_path, byte_order), ASAN_OPTIONS="detect_leaks=1")

    counts = {name: int(nr.split()[0]) for name, nr in (s.split(": ") for s in said.splitlines())}
    assert counts.keys() == {
        *("index a base", "index a split", "index names", "distill", "relocate", "deduplicate"),
    }
    assert counts["distill"] > 20


def without_memory(folder: Path, *command: str | Path) -> str:
    """Run a program of Python whose allocations it lets fail."""
    library = str(compile_allocator(folder))
    return output_of(*command, LD_PRELOAD=library, PYTHONMALLOC="malloc")


@pytest.mark.integration
def test_each_allocation_of_the_extension_may_fail(tmp_path: Path) -> None:
    said = without_memory(tmp_path, sys.executable, "-P", HERE / "extension.py")

    assert "distill: " in said


VERDICTS = """
struct s { int a; };
struct in { long x; };
struct out { char a; int b; char c; struct in in __attribute__((packed)); };
#ifdef ALONE
static __attribute__((noinline)) int same(struct s *s, const char *c) { return s->a + *c; }
int (*keep)(struct s *, const char *) = same;
void inner(int a, int b, int c, int d, int e, int f, struct in in) { keep(0, (char *)&in); }
void outer(int a, int b, int c, int d, int e, int f, struct out out) { keep(0, &out.c); }
#else
static inline int same(struct s *s, const char *c) { return s->a + *c; }
int use(struct s *s, const char *c) { return same(s, c) + 1; }
#endif
"""
"""A function that two units describe alike, and a struct that is embedded at an odd offset."""


@pytest.mark.integration
def test_an_allocation_that_fails_decides_nothing_about_a_function(tmp_path: Path) -> None:
    (tmp_path / "m.c").write_text(VERDICTS)
    for name, define in (("a.o", "-DALONE"), ("b.o", "-UALONE")):
        output_of("gcc", "-g", "-O2", define, "-c", tmp_path / "m.c", "-o", tmp_path / name)
    output_of("ld", "-r", tmp_path / "a.o", tmp_path / "b.o", "-o", tmp_path / "m.ko")

    script = HERE / "encoding.py"
    said = without_memory(tmp_path, sys.executable, "-P", script, tmp_path / "m.ko")

    tried, *functions = said.split()
    assert int(tried) > 100
    assert functions == ["outer", "same", "use"]  # inner: "uncertain"


@pytest.mark.integration
def test_a_run_without_memory_says_so_and_leaves_the_module(tmp_path: Path) -> None:
    folder, demo = tmp_path / "folder", Path(str(kbtf.__file__)).parent / "demo"
    folder.mkdir()
    shutil.copy(demo / "kfunc_module.ko", folder / "old.ko")
    base = lzma.decompress((demo / "vmlinux.btf.xz").read_bytes())
    (folder / "vmlinux.btf").write_bytes(base)

    said = without_memory(tmp_path, sys.executable, "-P", HERE / "out_of_memory.py", folder, "101")

    lines = said.splitlines()
    assert len(lines) == 1, said
    tried, large = (int(word) for word in lines[0].replace("tried ", "").split(" and "))
    assert tried > 100
    assert large > 10


@pytest.mark.tree
def test_every_branch_runs(tmp_path: Path) -> None:
    if not shutil.which("gcov"):
        missing("gcov")
    installed = install(tmp_path, "-Db_coverage=true", "-Dbuildtype=debug")
    suite: list[str | Path] = [
        installed,
        "-P",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--deselect={MEASURES_TIME}",
        ROOT / "tests/btf",
    ]
    output_of(*suite)
    without_memory(tmp_path, installed, "-P", HERE / "extension.py")
    program = compile_core(tmp_path / "core", "-O0", "--coverage")
    for byte_order in ("little", "big"):
        output_of(program, *write_blobs(tmp_path, byte_order))

    missed = coverage.missed([tmp_path / "build", tmp_path / "core"])

    assert [line for line in missed if not coverage.explained(line)] == []


@pytest.mark.integration
def test_nothing_is_undefined_in_the_everyday_suite(tmp_path: Path) -> None:
    libasan = Path(output_of("gcc", "-print-file-name=libasan.so").strip()).resolve()
    if not libasan.is_file():
        missing("libasan")
    reports = tmp_path / "reports"
    reports.mkdir()
    sanitizers = {
        "LD_PRELOAD": str(libasan),
        # Python itself leaks at its end: core.c is held against LeakSanitizer.  The other is of
        # programs in C++ that tests run.
        "ASAN_OPTIONS": f"detect_leaks=0:alloc_dealloc_mismatch=0:log_path={reports}/asan",
        "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:log_path={reports}/ubsan",
    }
    options = ("-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dbuildtype=debugoptimized")
    installed = install(tmp_path, *options, **sanitizers)
    command: list[str | Path] = [
        installed,
        "-P",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-n2",
    ]
    command += [f"--deselect={test}" for test in NOT_SANITIZED]
    command += [f"--rootdir={ROOT}", *(ROOT / tests for tests in EVERYDAY)]

    environment = {**os.environ, **sanitizers}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    found = [path.read_text() for path in sorted(reports.iterdir())]
    assert not found, found[0]
    assert done.returncode == 0, done.stdout[-3000:]
