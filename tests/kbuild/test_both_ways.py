# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The stand-ins in Kbuild's own step and ``kbtf build`` give one result, for every compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import missing
from kbtf import Btf, Kind, Module, open_btf, relocate
from kbtf.program import main

from . import kdirs
from .standins import PAHOLE, RESOLVE_BTFIDS

pytestmark = pytest.mark.integration

SECTIONS = (".BTF", ".BTF.base", ".BTF_ids")
STAND_INS = [f"PAHOLE={PAHOLE}", f"RESOLVE_BTFIDS={RESOLVE_BTFIDS}"]


@pytest.fixture(params=kdirs.COMPILERS)
def compiler(request: pytest.FixtureRequest) -> list[str]:
    try:
        return kdirs.compiler_arguments(request.param)
    except kdirs.Missing as error:
        missing(error)


def by_stand_ins(kdir: Path, folder: Path, *arguments: str) -> str:
    command = ["make", "-C", str(kdir), f"M={folder}", *arguments, *STAND_INS, "modules"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def by_build(kdir: Path, folder: Path, *arguments: str) -> None:
    assert main(["build", "-C", str(kdir), str(folder), *arguments]) == 0


def one_module(root: Path, into: Path) -> Path:
    into.mkdir(parents=True)
    for name in ("Makefile", "kfunc_module.c"):
        shutil.copy(root / "examples/kfunc_module" / name, into)
    return into


def sections(path: Path) -> dict[str, bytes | None]:
    image = Module.open(str(path)).image
    return {name: image.data(name) for name in SECTIONS}


def test_one_module(
    headers: Path, vmlinux: Path, root: Path, compiler: list[str], run_dir: Path
) -> None:
    theirs = one_module(root, run_dir / "stand-ins")
    ours = one_module(root, run_dir / "build")

    by_stand_ins(headers, theirs, *compiler)
    by_build(headers, ours, *compiler)

    made = sections(ours / "kfunc_module.ko")
    assert all(made.values())
    assert made == sections(theirs / "kfunc_module.ko")
    assert main(["check", "--kernel", str(vmlinux), str(ours / "kfunc_module.ko")]) == 0


def test_three_modules_of_which_two_take_symbols_of_the_first(
    headers: Path, compiler: list[str], run_dir: Path
) -> None:
    theirs = kdirs.three_modules(run_dir / "stand-ins")
    ours = kdirs.three_modules(run_dir / "build")

    for project, make in ((theirs, by_stand_ins), (ours, by_build)):
        make(headers, project / "provider", *compiler)
        make(headers, project / "users", *compiler, *kdirs.users_arguments(project))

    names = sorted(path.relative_to(ours) for path in ours.glob("*/*.ko"))
    assert len(names) == 3
    for name in names:
        assert sections(ours / name) == sections(theirs / name)
        assert sections(ours / name)[".BTF.base"]


def test_a_kernel_that_cannot_relocate_gets_plain_split_btf_both_ways(
    root: Path, compiler: list[str], run_dir: Path
) -> None:
    try:
        old = kdirs.old_kernel()
    except kdirs.Missing as error:
        missing(error)
    # Its headers have no vmlinux; raw BTF in its place makes Kbuild take its own step.
    kdir = kdirs.shadow(old.kdir, run_dir / "kdir")
    base = open_btf(str(old.vmlinuz))
    (kdir / "vmlinux").write_bytes(base.to_bytes())
    theirs = one_module(root, run_dir / "stand-ins")
    ours = one_module(root, run_dir / "build")

    said = by_stand_ins(kdir, theirs, *compiler)
    by_build(kdir, ours, *compiler)

    assert "cannot relocate BTF" in said
    made = sections(ours / "kfunc_module.ko")
    assert made == sections(theirs / "kfunc_module.ko")
    assert (made[".BTF"] is None, made[".BTF.base"]) == (False, None)
    assert main(["check", "--kernel", str(old.vmlinuz), str(ours / "kfunc_module.ko")]) == 0


@pytest.mark.parametrize("compiler", ["clang"], indirect=True)
def test_clangs_types_are_found_in_a_kernel_of_gcc(
    headers: Path, root: Path, compiler: list[str], run_dir: Path
) -> None:
    """gcc calls it ``long int``, clang ``long``: every struct with one would be the module's own.

    Then a program's ``struct task_struct *`` were none to the module's kfuncs.
    """
    folder = one_module(root, run_dir / "m")
    by_build(headers, folder, *compiler)

    module = Module.open(str(folder / "kfunc_module.ko"))
    assert module.compiler == "clang"
    assert module.btf is not None
    own = {t.name for t in module.btf if t.kind is Kind.STRUCT and t.name}
    assert own == {"kfunc_module_counter", "kfunc_module_ticket"}
    vmlinux = open_btf(str(headers / "vmlinux"))
    plain = relocate(module.btf, vmlinux)
    opener = plain.find("kfunc_module_is_opener", Kind.FUNC)
    assert opener is not None
    task = plain[plain[plain[opener.type or 0].params[0].type].type or 0]
    assert task == vmlinux.find("task_struct", Kind.STRUCT)._replace(btf=task.btf)  # type: ignore[union-attr]


@pytest.mark.parametrize("compiler", ["clang"], indirect=True)
def test_detached_btf_of_clang_is_made_the_same_way(
    headers: Path, vmlinux: Path, root: Path, compiler: list[str], run_dir: Path
) -> None:
    """As gen-btf.sh of 7.0 asks for it."""
    folder = one_module(root, run_dir / "m")
    linked = run_dir / "linked.ko"
    options = ["--raw", "--module", "kfunc_module", "-o", str(linked)]
    by_build(headers, folder, *options, *compiler)
    before = linked.read_bytes()

    command = [str(PAHOLE), "-J", "--btf_gen_floats", "--btf_base", str(vmlinux)]
    subprocess.run([*command, "--btf_encode_detached=m.BTF.1", str(linked)], check=True)

    split = Btf.parse(Path("m.BTF.1").read_bytes(), open_btf(str(vmlinux)))
    own = {t.name for t in split if t.kind is Kind.STRUCT and t.name}
    assert own == {"kfunc_module_counter", "kfunc_module_ticket"}
    assert linked.read_bytes() == before
