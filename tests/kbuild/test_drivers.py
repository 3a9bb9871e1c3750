# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Two drivers of 33 files and thousands of types each: in one run, and with failures in between."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import missing
from kbtf import Kind, Module, open_btf, relocate
from kbtf.program import main

from . import kdirs
from .drivers import FILES, KFUNCS, STRUCTS, write_driver
from .standins import PAHOLE, RESOLVE_BTFIDS

pytestmark = pytest.mark.integration

NAMES = ("alpha", "beta")
SECTIONS = (".BTF", ".BTF.base", ".BTF_ids")
KBTF = Path(sys.executable).with_name("kbtf")

Contents = dict[str, dict[str, bytes | None]]


class Project(NamedTuple):
    """Both drivers in one folder, built once by ``kbtf build``."""

    folder: Path
    kdir: Path
    made: Contents

    def module(self, name: str) -> Path:
        return self.folder / name / f"{name}.ko"

    def unlink(self) -> None:
        """Leave make the linking to do."""
        for name in NAMES:
            self.module(name).unlink(missing_ok=True)

    def contents(self) -> Contents:
        return {name: sections(self.module(name)) for name in NAMES}

    def build(self, *arguments: object) -> int:
        words = ["build", "-C", self.kdir, "-j2", self.folder, *arguments]
        return main([str(word) for word in words])

    def by_stand_ins(self, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "-C", str(self.kdir), f"M={self.folder}", "modules"]
        stand_ins = [f"PAHOLE={PAHOLE}", f"RESOLVE_BTFIDS={RESOLVE_BTFIDS}"]
        env = {**os.environ, **environment}
        return subprocess.run(
            [*command, *stand_ins], capture_output=True, text=True, check=False, env=env
        )

    def leftovers(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if ".kbtf-" in path.name]


def sections(path: Path) -> dict[str, bytes | None]:
    image = Module.open(str(path)).image
    return {name: image.data(name) for name in SECTIONS}


@pytest.fixture(scope="module")
def project(headers: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("drivers")
    (folder / "Makefile").write_text("obj-m := alpha/ beta/\n")
    for name in NAMES:
        write_driver(folder / name, name)
    project = Project(folder, headers, {})
    assert project.build() == 0
    return project._replace(made=project.contents())


@pytest.fixture(scope="module")
def made_by_pahole(project: Project) -> Contents:
    """What both drivers hold where pahole makes their BTF, which may be too old for tags."""
    if not shutil.which("pahole"):
        missing("pahole is not installed")
    assert project.build("--encoder", "pahole") == 0
    return project.contents()


@pytest.fixture
def failing_pahole(tmp_path: Path) -> Path:
    """A pahole that writes half of its output and fails, for the second driver only."""
    real = shutil.which("pahole") or missing("pahole is not installed")
    program = tmp_path / "pahole"
    program.write_text(
        f'#!/bin/sh\nfor last; do :; done\n{real} "$@" || exit\n'
        '[ "$1" = --version ] || grep -q beta_ids "$last" || exit 0\n'
        '[ "$1" = --version ] && exit\n'
        "for a; do\n"
        'case $a in --btf_encode_detached=*) truncate -s 99 "${a#*=}";; esac\n'
        "done\n"
        "exit 9\n"
    )
    program.chmod(0o755)
    return program


def test_both_get_what_they_need(project: Project, vmlinux: Path) -> None:
    base = open_btf(str(vmlinux))
    for name in NAMES:
        module = Module.open(str(project.module(name)))
        assert module.btf is not None
        own = {t.name for t in module.btf if t.kind is Kind.STRUCT and t.name.startswith(name)}
        assert len(own) == FILES * STRUCTS + 1
        assert len(module.btf) > 5000
        functions = {t.name for t in module.btf if t.kind is Kind.FUNC}
        assert {f"{name}_kfunc{number}" for number in range(KFUNCS)} <= functions
        relocate(module.btf, base)
    modules = [str(project.module(name)) for name in NAMES]
    assert main(["check", "--kernel", str(vmlinux), *modules]) == 0


def test_the_stand_ins_make_the_same(project: Project) -> None:
    project.unlink()

    done = project.by_stand_ins()

    assert done.returncode == 0, done.stderr
    assert project.contents() == project.made


def test_a_second_build_touches_no_file(project: Project) -> None:
    assert project.build() == 0
    before = kdirs.states(project.folder)

    assert project.build() == 0

    assert kdirs.states(project.folder) == before


def test_pahole_fails_for_the_second(
    project: Project,
    made_by_pahole: Contents,
    failing_pahole: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    project.unlink()

    assert project.build("--encoder", "pahole", "--pahole", failing_pahole) == 4

    errors = capfd.readouterr().err
    assert re.search(r"pahole \d\S* failed \(9\)", errors)
    assert "kbtf: beta.ko: Kbuild's own BTF step takes over" in errors
    assert "kbtf: alpha.ko: Kbuild's own" not in errors
    assert project.contents()["alpha"] == made_by_pahole["alpha"]
    assert not project.leftovers()
    assert project.build() == 0
    assert project.contents() == project.made


def test_pahole_fails_for_the_second_in_kbuilds_own_step(
    project: Project, made_by_pahole: Contents, failing_pahole: Path
) -> None:
    project.unlink()

    done = project.by_stand_ins(KBTF_ENCODER="pahole", KBTF_PAHOLE=str(failing_pahole))

    assert done.returncode != 0
    assert not project.module("beta").exists(), "make deletes the target of a recipe that failed"
    assert not project.leftovers()
    assert project.by_stand_ins(KBTF_ENCODER="pahole").returncode == 0
    assert project.contents() == made_by_pahole


@pytest.mark.parametrize("when", [1, 2])
def test_killed_at_the_moment_of_a_write(project: Project, when: int) -> None:
    """Not even SIGKILL: each module is as linked or finished, and the next run does the rest."""
    if not shutil.which("strace"):
        missing("strace is not installed")
    project.unlink()
    linked = project.build("--raw")
    assert linked == 0
    inject = f"inject=rename,renameat,renameat2:signal=SIGKILL:when={when}"
    command = ["strace", "-qq", "-o", "/dev/null", "-e", inject, str(KBTF)]
    command += ["build", "-C", str(project.kdir), str(project.folder)]

    done = subprocess.run(command, capture_output=True, check=False)

    assert done.returncode in (-9, 137)
    for name, held in project.contents().items():
        assert held == project.made[name] or held[".BTF"] is None
    assert project.build() == 0
    assert project.contents() == project.made
    assert not project.leftovers()
