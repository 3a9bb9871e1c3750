# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf build`` in a copied directory never touches a file of the original.

Whatever files kbtf and Kbuild left there may name files of another directory, or be links to them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import Btf
from kbtf.program import main
from kbtf.testing import make_base, make_kfuncs, make_module

from . import kdirs

if TYPE_CHECKING:
    from collections.abc import Callable

STAMP = '{{"version": "0", "files": {{"bases": [["{0}/a.ko", 1, 1]], "configuration": []}}}}'


@pytest.fixture
def original(run_dir: Path) -> Path:
    """A directory as a build left it."""
    folder = run_dir / "original"
    folder.mkdir()
    base = Btf.parse(make_base().to_bytes())
    (folder / "a.ko").write_bytes(make_module("a", btf=make_kfuncs(base, ["a"])))
    (folder / "sub").mkdir()
    shutil.copy(folder / "a.ko", folder / "sub/b.ko")
    (folder / "a.c").write_text("int a;\n")
    (folder / "Makefile").write_text("obj-m := a.o sub/\n")
    (folder / "a.mod").write_text(f"{folder}/a.o\n")
    (folder / "modules.order").write_text(f"{folder}/a.o\n{folder}/sub/b.o\n")
    (folder / "Module.symvers").write_text("0x1\ta\ta\tEXPORT_SYMBOL\t\n")
    (folder / ".a.ko.cmd").write_text(f"savedcmd_{folder}/a.ko := ld -o {folder}/a.ko\n")
    (folder / ".Module.symvers.cmd").write_text(f"cmd := modpost -o {folder}/Module.symvers\n")
    (folder / ".kbtf.cmd").write_text(STAMP.format(folder))
    (folder / ".a.ko.kbtf-0123456789abcdef").write_text("left by a killed run\n")
    return folder


def everything(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Inode, time and content of each file."""
    states = kdirs.states(folder)
    return {name: (*state, (folder / name).read_bytes()) for name, state in states.items()}


def copy(original: Path, into: Path) -> None:
    shutil.copytree(original, into)


def copy_of_symlinks(original: Path, into: Path) -> None:
    shutil.copytree(original, into, copy_function=lambda old, new: os.symlink(old, new))


def copy_of_hard_links(original: Path, into: Path) -> None:
    shutil.copytree(original, into, copy_function=lambda old, new: os.link(old, new))


def copy_with_linked_directory(original: Path, into: Path) -> None:
    copy(original, into)
    shutil.rmtree(into / "sub")
    (into / "sub").symlink_to(original / "sub")


COPIES = [copy, copy_of_symlinks, copy_of_hard_links, copy_with_linked_directory]
ORDERS = {
    "absolute": "{original}/a.o\n{original}/sub/b.o\n",
    "modules": "{original}/a.ko\n",
    "upwards": "../original/a.o\n../original/sub/b.o\n",
    "up and down": "sub/../../original/a.o\n",
    "own": "a.o\nsub/b.o\n",
    "own, absolute": "{copy}/a.o\n{copy}/sub/b.o\n",
}


@pytest.fixture
def make(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A make that has nothing to do."""
    program = run_dir / "bin/make"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.mark.usefixtures("make")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("options", [["--distill", "never"], ["--raw"], ["a.ko"], ["clean"]])
def test_the_original_stays(
    original: Path,
    run_dir: Path,
    copied: Callable[[Path, Path], None],
    order: str,
    options: list[str],
) -> None:
    folder = run_dir / "copy"
    copied(original, folder)
    listed = ORDERS[order].format(original=original, copy=folder)
    if (folder / "modules.order").is_symlink():
        (original / "modules.order").write_text(listed)
    else:
        (folder / "modules.order").unlink()
        (folder / "modules.order").write_text(listed)
    before = everything(original)

    main(["build", "-C", str(kdirs.small_kdir(run_dir / "kdir")), str(folder), *options])

    assert everything(original) == before


@pytest.mark.usefixtures("make")
def test_a_module_outside_is_named(
    original: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy(original, run_dir / "copy")

    assert main(["build", "-C", str(kdirs.small_kdir(run_dir / "kdir")), "copy"]) == 3

    said = capsys.readouterr().err
    assert said.startswith(f"kbtf: error: {original}/a.ko: is outside {run_dir}/copy")


@pytest.mark.usefixtures("make")
def test_a_directory_that_is_built_through_a_link(original: Path, run_dir: Path) -> None:
    """Its modules are its own, though their paths go through the link."""
    (run_dir / "link").symlink_to(original)
    (original / "modules.order").write_text(f"{run_dir}/link/a.o\n")

    main(["build", "-C", str(kdirs.small_kdir(run_dir / "kdir")), "--raw", "link"])

    assert not (original / "a.ko").exists()  # for make to link it anew


@pytest.mark.usefixtures("make")
@pytest.mark.parametrize("link", ["sub", "modules.order", "a.c", "Module.symvers", ".kbtf.cmd"])
def test_a_build_apart_stays_in_its_directory(original: Path, run_dir: Path, link: str) -> None:
    other, work = run_dir / "other", run_dir / "work"
    copy(original, other)
    (original / "sub/b.c").write_text("int b;\n")
    work.mkdir()
    (work / link).symlink_to(other / link)
    before = everything(other)
    sources = everything(original)

    main(["build", "-C", str(kdirs.small_kdir(run_dir / "kdir")), "--work", "work", str(original)])

    assert everything(other) == before
    assert everything(original) == sources
    assert not (other / "sub/b.c").is_symlink()


@pytest.mark.integration
@pytest.mark.parametrize("options", [["--distill", "never"], ["--raw"], []])
def test_a_copied_build_of_kbuild(headers: Path, run_dir: Path, options: list[str]) -> None:
    project = kdirs.three_modules(run_dir / "three")
    original, folder = project / "provider", project / "copy"
    assert main(["build", "-C", str(headers), "-q", str(original)]) == 0
    copy(original, folder)
    before = everything(original)

    assert main(["build", "-C", str(headers), "-q", *options, str(folder)]) == 0

    assert everything(original) == before
    assert (folder / "provider.ko").exists()
