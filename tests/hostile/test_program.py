# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Traps that were once walked into, each laid for the program as its user would meet it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hostile.cost import Cost, run
from hostile.shapes import as_split
from kbtf.testing import make_base, make_module

NOBODY = 65534


@pytest.fixture
def folder(run_dir: Path) -> Path:
    """A base and a module on it."""
    (run_dir / "base").write_bytes(make_base().build().to_bytes())
    (run_dir / "m.ko").write_bytes(make_module(btf=as_split("doubling", *end_of_base())))
    return run_dir


def end_of_base() -> tuple[int, int]:
    base = make_base().build()
    return base.end_id, base.end_str


def kbtf(command: str, *more: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("kbtf")
    return subprocess.run(
        [program, *command.split(), *more], capture_output=True, text=True, check=False
    )


def is_one_line(cost: Cost) -> bool:
    """Whether the command refused its input at once, in a line or as the result in its table."""
    return cost.code == 3 and not [*cost.mistakes()] and len(cost.errors.splitlines()) <= 1


# What stands beside a file that was named

BESIDE = {
    "check": ("check --kernel base m.ko", ".config"),
    "check, of an unpacked kernel": ("check --kernel base m.ko", "include/config/auto.conf"),
    "status": ("status --root .", "lib/modules/6.12.0-test/pkgbase"),
    "doctor": ("doctor -C build", "build/include/generated/utsrelease.h"),
}
UNENDING = {"a FIFO": os.mkfifo, "zeros": lambda path: path.symlink_to("/dev/zero")}


@pytest.mark.parametrize("what", UNENDING)
@pytest.mark.parametrize("command", BESIDE)
def test_no_file_beside_another_is_waited_for_or_read_without_end(
    command: str, what: str, folder: Path
) -> None:
    words, beside = BESIDE[command]
    (folder / "build").mkdir()
    (folder / "build" / "Makefile").write_text("modules:\n")
    (folder / "lib" / "modules" / "6.12.0-test" / "kernel").mkdir(parents=True)
    (folder / beside).parent.mkdir(parents=True, exist_ok=True)
    UNENDING[what](folder / beside)

    assert not [*run(words.split(), folder).mistakes()]


# Links of another user in a directory like /tmp

WRITERS = {
    "run": "run --base base m.ko -o",
    "run --depfile": "run --base base m.ko -o out --depfile",
    "check --html": "check --kernel base m.ko --html",
    "stats --html": "stats m.ko --html",
    "base": "base base -o",
    "extract": "extract m.ko .BTF -o",
    "undistill": "undistill --base base m.ko -o",
    "distill": "distill base split out",
    "relocate": "relocate base base split",
}


@pytest.mark.parametrize("through", ["a link", "a link to nothing", "a directory"])
@pytest.mark.parametrize("command", WRITERS)
def test_no_command_follows_a_link_that_was_laid_for_it(
    command: str, through: str, folder: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    (folder / "split").write_bytes(as_split("doubling", *end_of_base()))
    (folder / "roots").mkdir()
    precious = folder / "roots" / "precious"
    precious.write_bytes(b"precious")
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    link = folder / "tmp" / "link"
    targets = {"a link": precious, "a link to nothing": folder / "roots" / "new"}
    link.symlink_to(targets.get(through, precious.parent))
    os.lchown(link, NOBODY, NOBODY)
    output = "tmp/link/precious" if through == "a directory" else "tmp/link"

    done = kbtf(WRITERS[command], output)

    assert done.returncode == 4, done.stderr
    assert f"belongs to user {NOBODY}" in done.stderr
    assert precious.read_bytes() == b"precious"
    assert os.listdir(precious.parent) == ["precious"]
    assert link.is_symlink()


# What a small file may cost


@pytest.mark.parametrize("command", ["run", "show", "explain", "dump"])
def test_names_that_share_one_long_string_take_no_memory(command: str, folder: Path) -> None:
    data = make_module("shape", btf=as_split("structs of suffixes", *end_of_base()))
    assert len(data) < 800_000
    (folder / "shape.ko").write_bytes(data)
    option = ["--base", "base"] if command != "show" else []

    cost = run([command, *option, "shape.ko"], folder)

    assert not [*cost.mistakes()]


@pytest.mark.parametrize("behind", [b"", b"x"], ids=["alone", "behind a byte"])
@pytest.mark.parametrize("command", ["base", "dump", "run --base"])
def test_an_image_of_nothing_but_beginnings_is_refused_at_once(
    command: str, behind: bytes, folder: Path
) -> None:
    (folder / "image").write_bytes(behind + b"\x02\x21\x4c\x18" * 250_000)
    words = [*command.split(), "image", *(["m.ko"] if "run" in command else [])]

    assert is_one_line(run(words, folder))


@pytest.mark.parametrize("command", ["run --base base", "show", "check --kernel base", "extract"])
def test_a_huge_file_that_is_no_module_is_not_read(command: str, folder: Path) -> None:
    with open(folder / "big.ko", "wb") as file:
        file.truncate(3 << 30)
    words = [*command.split(), "big.ko", *([".BTF"] if command == "extract" else [])]

    cost = run(words, folder)

    assert is_one_line(cost)
    assert cost.megabytes < 100


# Names that make would take for commands


@pytest.mark.parametrize("name", ["a;touch ran;.ko", "a\nb:\n\ttouch ran\n.ko"])
@pytest.mark.parametrize("kind", ["module", "output", "base"])
def test_no_name_becomes_a_command_of_make(kind: str, name: str, folder: Path) -> None:
    names = {"module": "m.ko", "output": "out.ko", "base": "base"}
    if kind != "output":
        (folder / names[kind]).rename(folder / name)
    names[kind] = name

    done = kbtf("run --depfile d --base", names["base"], names["module"], "-o", names["output"])
    Path("Makefile").write_text("all: out.ko\n-include d\n%: ; @:\n")
    subprocess.run(["make", "-B", "all", name], capture_output=True, check=False)

    assert done.returncode == 2, done.stderr
    assert not Path("ran").exists()
    assert not Path("d").exists()
