# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf build``: what is asked of make, without a kernel."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from kbtf.errors import UsageError
from kbtf.kbuild.make import Make, built_modules, sort_words

from . import kdirs
from .builds import KBTF, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_words_are_told_apart(run_dir: Path) -> None:
    (run_dir / "driver").mkdir()
    (run_dir / "clean").mkdir()

    words = sort_words(["V=1", "driver", "clean", "LLVM=1", "sub/a.o"])

    assert words.folder == str(run_dir / "driver")
    assert words.variables == ["V=1", "LLVM=1"]
    assert words.targets == ["clean", "sub/a.o"]
    assert sort_words(["./clean"]).folder == str(run_dir / "clean")
    assert sort_words(["M=driver", "modules"]).folder == str(run_dir / "driver")
    assert sort_words([]).folder == str(run_dir)
    with pytest.raises(UsageError, match="one directory"):
        sort_words(["driver", "./clean"])
    with pytest.raises(UsageError, match="no such directory"):
        sort_words(["./nowhere"])


@pytest.mark.parametrize("line", ["{}/sub/a.ko", "{}/sub/a.o", "sub/a.o"])
def test_modules_order_of_all_kernels(tmp_path: Path, line: str) -> None:
    """Before 6.3, before 6.13, and since."""
    (tmp_path / "modules.order").write_text(line.format(tmp_path) + "\n")

    assert built_modules(str(tmp_path)) == [f"{tmp_path}/sub/a.ko"]


@pytest.mark.parametrize(
    ("arguments", "flags", "expected"),
    [
        ((), "", False),
        (("-n",), "", True),
        (("-kq",), "", True),
        (("--touch",), "", True),
        (("-j4", "-s", "V=n"), "", False),
        (("-Otarget",), "", False),
        (("-kOnone", "-Oline"), "", False),
        (("-I/usr/lib/none", "-f", "-n", "--file", "--touch"), "", False),
        (("-C", "quiet", "--directory=--touch", "-j", "2"), "", False),
        (("-E", "x:=1", "-n"), "", True),
        (("-j4", "-ks", "--dry"), "", True),
        (("--tr", "--quiet"), "", False),
        ((), "-s -n", True),
        ((), "kw -Iinto -Otarget", False),
        ((), "n", True),
        ((), "kw -j2 --jobserver-auth=3,4", False),
        ((), " -j2 --jobserver-auth=3,4 -- V=nt", False),
        ((), "--no-print-directory", False),
    ],
)
def test_make_that_builds_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], flags: str, expected: bool
) -> None:
    monkeypatch.setenv("MAKEFLAGS", flags)

    assert Make("k", "m", arguments).only_says is expected


@pytest.fixture
def fake_make(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a program ``make`` before the real one; returns the file it writes its words to."""

    def install(ending: str) -> Path:
        (run_dir / "bin").mkdir()
        said = run_dir / "said"
        program = run_dir / "bin/make"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {said}\n{ending}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return said

    return install


def test_make_is_given_what_the_user_gave(fake_make: Callable[[str], Path], run_dir: Path) -> None:
    kdir = kdirs.small_kdir(run_dir / "kdir")
    said = fake_make("exit 0")

    assert build("-C", kdir, "V=1", "-j", 2, ".", "LLVM=1", "clean", "--", "-k") == 0

    assert said.read_text().split("\n")[:-1] == [
        *("-C", str(kdir), f"M={run_dir}"),
        *("-j2", "-k", "V=1", "LLVM=1", "clean"),
    ]


@pytest.mark.parametrize(("ending", "code"), [("exit 2", 2), ("kill -9 $$", 137)])
def test_the_exit_status_is_makes(
    fake_make: Callable[[str], Path], run_dir: Path, ending: str, code: int
) -> None:
    fake_make(ending)
    (run_dir / "Makefile").touch()

    assert build("-C", kdirs.small_kdir(run_dir / "kdir")) == code


def test_a_directory_that_is_not_there_is_named(
    fake_make: Callable[[str], Path], run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kbuild has nothing to do for it, and reports success."""
    said = fake_make("exit 0")

    assert build("-C", kdirs.small_kdir(run_dir / "kdir"), "nowhere/") == 2
    assert capsys.readouterr().err == "kbtf: error: nowhere/: no such directory\n"
    assert not said.exists()


def test_a_directory_that_cannot_be_written_is_named(
    fake_make: Callable[[str], Path], run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kbuild ends in twenty errors of mkdir and of the compiler."""
    if os.geteuid():
        pytest.skip("only root can be another user")
    said = fake_make("exit 0")
    (run_dir / "Makefile").touch()
    run_dir.chmod(0o555)
    kdir = kdirs.small_kdir(run_dir / "kdir")
    for folder in run_dir.parents:  # pytest's own are for root alone
        folder.chmod(folder.stat().st_mode | 0o111)

    os.seteuid(65534)
    try:
        assert build("-C", kdir) == 4
    finally:
        os.seteuid(0)

    hint = "cannot write in this directory; use --work DIR to build elsewhere"
    assert capsys.readouterr().err == f"kbtf: error: {run_dir}: {hint}\n"
    assert not said.exists()


def test_a_kdir_that_is_none_is_named(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("-C", run_dir / "nowhere") == 4
    assert "nowhere: is not a kernel build directory; install the" in capsys.readouterr().err


def test_options_that_belong_together(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--module", "one") == 2
    assert "--module and -o go together" in capsys.readouterr().err


def test_the_jobs_of_an_outer_make_are_shared(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a make without ``-j`` beneath one with it: three sleeps of a second, at the same time."""
    kdir = kdirs.small_kdir(run_dir / "kdir")
    (kdir / "Makefile").write_text("modules: a b c\na b c:\n\t@sleep 1; date +%s.%N >> $(M)/done\n")
    (run_dir / "Makefile").write_text(f"all:\n\t+@{KBTF} build -C {kdir} .\n")
    monkeypatch.delenv("MAKEFLAGS", raising=False)

    done = subprocess.run(["make", "-j3"], capture_output=True, text=True, check=False)

    assert done.returncode == 2, "no module was built"
    assert "jobserver" not in done.stderr
    times = [float(line) for line in (run_dir / "done").read_text().split()]
    assert max(times) - min(times) < 0.9
