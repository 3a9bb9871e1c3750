# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The C core and kbtf as tests want them: compiled by hand, or installed in a venv of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "kbtf" / "native"
INCLUDE = tuple(f"-I{NATIVE / part}" for part in ("btf", "core", "dwarf", "python"))
SOURCES = sorted(NATIVE.glob("*/*.c"))
CORE = [path for path in SOURCES if path.parent.name != "python"]
"""All that know nothing of Python."""
HERE = Path(__file__).parent
EXTENSION_FLAGS = (
    "-fPIC",
    "-DPy_LIMITED_API=0x030b0000",
    f"-isystem{sysconfig.get_path('include')}",
)
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARN = ("-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Werror")


def output_of(*command: str | Path, **extra: str) -> str:
    """What a program prints; AssertionError with all that it said if it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **extra}, check=False
    )
    assert done.returncode == 0, f"{command[0]}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def compile_core(into: Path, *flags: str) -> Path:
    """The driver `core.c` with the C core."""
    into.mkdir(exist_ok=True)
    wrap = "-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc"
    sources = [HERE / "core.c", *CORE]
    # from `into`, where gcov finds what belongs to its objects
    command: list[str | Path] = [
        "gcc",
        *WARN,
        "-g",
        *flags,
        *INCLUDE,
        wrap,
        *sources,
        "-o",
        into / "core",
    ]
    done = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return into / "core"


def compile_allocator(into: Path) -> Path:
    """The library for LD_PRELOAD that makes allocations fail."""
    library = into / "failing_malloc.so"
    output_of("gcc", *WARN, "-O2", "-shared", "-fPIC", HERE / "failing_malloc.c", "-o", library)
    return library


def install(into: Path, *setup_args: str, **environment: str) -> Path:
    """A venv with kbtf built in `into`/build, and all else as it is here; returns its Python.

    *environment* is what loading the extension takes, which the build does too.
    """
    venv, packages = into / "venv", sysconfig.get_path("purelib")
    output_of(sys.executable, "-m", "venv", "--without-pip", venv)
    python = venv / "bin" / "python"
    site = output_of(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(site, "here.pth").write_text(f"{packages}\n")
    arguments = [f"-Csetup-args={argument}" for argument in setup_args]
    arguments += [f"-Cbuild-dir={into / 'build'}", "--no-build-isolation", "--no-deps"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # ninja
    pip: list[str | Path] = [python, "-m", "pip", "install", "-q", "--ignore-installed"]
    output_of(*pip, *arguments, ROOT, PATH=path, **environment)
    return python
