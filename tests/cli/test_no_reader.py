# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A reader that goes away stops no work on modules, and no exit code is lost."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from cli.folders import BAD_INPUT, BASE_BLOB, DISTILLED, GOOD, KBTF, module
from kbuild import kdirs
from shown import sh

if TYPE_CHECKING:
    from pathlib import Path

MANY = 300  # lines about them fill the buffer of standard output


def unread(*args: object) -> subprocess.CompletedProcess[str]:
    """Run kbtf with an output that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [KBTF, *map(str, args)], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)


@pytest.fixture
def base(run_dir: Path) -> Path:
    path = run_dir / "vmlinux.btf"
    path.write_bytes(BASE_BLOB)
    return path


def many(folder: Path, data: bytes) -> list[Path]:
    paths = [folder / f"m{at:03}.ko" for at in range(MANY)]
    for path in paths:
        path.write_bytes(data)
    return paths


@pytest.mark.parametrize("options", [(), ("-j2",), ("-v",), ("--json",)])
def test_all_modules_are_processed(run_dir: Path, base: Path, options: tuple[str, ...]) -> None:
    modules = many(run_dir, GOOD)
    (run_dir / "bad.ko").write_bytes(b"bad")

    done = unread("run", *options, "--base", base, run_dir)

    assert done.returncode == BAD_INPUT
    assert len(done.stderr.splitlines()) == (0 if "--json" in options else 1)
    assert not [path for path in modules if path.read_bytes() == GOOD]


def test_a_build_goes_on_to_its_later_targets(run_dir: Path, base: Path) -> None:
    (run_dir / "m").mkdir()
    (run_dir / "m/Makefile").touch()
    (run_dir / "m/linked").write_bytes(GOOD)
    (kdirs.small_kdir(run_dir / "kdir") / "Makefile").write_text(
        "modules:\n\t@cp $(M)/linked $(M)/tiny.ko; echo tiny.o > $(M)/modules.order\n"
        "modules_install:\n\t@touch $(M)/installed\n"
    )
    targets = ("modules", "modules_install", "--", "--no-print-directory")  # make would fail too

    done = unread("build", "-C", run_dir / "kdir", "--base", base, run_dir / "m", *targets)

    assert (done.returncode, done.stderr) == (0, "")
    assert (run_dir / "m/tiny.ko").read_bytes() != GOOD
    assert (run_dir / "m/installed").exists()


@pytest.mark.parametrize("jobs", ["-j1", "-j2"])
def test_a_closed_standard_error_is_no_error_and_not_standard_output(
    run_dir: Path, base: Path, jobs: str
) -> None:
    modules = [run_dir / f"m{at}.ko" for at in range(4)]
    for path in modules:
        path.write_bytes(GOOD)
    (run_dir / "bad.ko").write_bytes(b"bad")

    done = sh(f"exec kbtf run {jobs} --base {base} . 2>&-", run_dir, exits=BAD_INPUT)

    assert not [path for path in modules if path.read_bytes() == GOOD]
    assert len(done.splitlines()) == len(modules)


def test_undistill_goes_on_too(run_dir: Path, base: Path) -> None:
    data = module(DISTILLED.split.to_bytes(), DISTILLED.base.to_bytes())
    modules = many(run_dir, data)

    done = unread("undistill", "--base", base, *modules, run_dir / "missing.ko")

    assert done.returncode == BAD_INPUT
    assert len(done.stderr.splitlines()) == 1
    assert not [path for path in modules if path.read_bytes() == data]


def test_what_only_prints_ends_quietly(run_dir: Path) -> None:
    kernels = [path.rename(path.with_suffix(".btf")) for path in many(run_dir, BASE_BLOB)]

    done = unread("kfuncs", *kernels)

    assert done.stderr == ""
