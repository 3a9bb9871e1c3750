# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The drop-in for dkms: its files, and the make that dkms finds, without dkms."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.cli import main
from kbtf.errors import ToolError
from kbtf.kbuild import dkms
from shown import block, sh

from . import kdirs
from .dkms_root import DROP_IN

if TYPE_CHECKING:
    from collections.abc import Callable

KBTF = Path(sys.executable).with_name("kbtf")


def test_enable_status_disable(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--root", str(run_dir / "root"))
    assert main(["dkms", "status", *at]) == 1
    assert capsys.readouterr().out == "not enabled\n"

    assert main(["dkms", "enable", *at, "--program", str(KBTF)]) == 0
    files = {str(path.relative_to("root")) for path in Path("root").rglob("*") if path.is_file()}
    assert files == set(DROP_IN)
    assert os.access(f"root/{DROP_IN[1]}", os.X_OK)
    assert main(["dkms", "status", *at]) == 0
    assert f"enabled, runs {KBTF}" in capsys.readouterr().out
    before = kdirs.states(run_dir)
    assert main(["dkms", "enable", *at, "--program", str(KBTF)]) == 0
    assert kdirs.states(run_dir) == before

    assert main(["dkms", "disable", *at]) == 0
    assert not [path for path in Path("root").rglob("*") if path.is_file()]
    assert main(["dkms", "disable", *at]) == 0


def test_the_commands_of_the_documentation(run_dir: Path) -> None:
    """Below a folder, as the one who runs the tests."""
    here = {
        "sudo kbtf dkms enable": f"kbtf dkms enable --root root --program {KBTF}",
        "kbtf dkms status": "kbtf dkms status --root root && find root -type f",
        "sudo kbtf dkms disable": "kbtf dkms disable --root root && find root -type f",
    }
    said = sh(block("docs/dkms.md", "drop-in", here), run_dir)

    found = sorted(line for line in said.splitlines() if line.startswith("root/"))
    assert found == sorted(f"root/{name}" for name in DROP_IN)


@pytest.mark.parametrize("name", DROP_IN)
def test_a_foreign_file_is_neither_replaced_nor_removed(
    run_dir: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    foreign = run_dir / name
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine\n")

    assert main(["dkms", "enable", "--root", ".", "--program", str(KBTF)]) == 3
    assert f"{name}: was not written by kbtf" in capsys.readouterr().err
    assert main(["dkms", "disable", "--root", "."]) == 3

    assert [path for path in run_dir.rglob("*") if path.is_file()] == [foreign]
    assert foreign.read_text() == "mine\n"
    assert main(["dkms", "status", "--root", "."]) == 1


def test_a_half_and_a_dead_drop_in_are_no_good(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["dkms", "enable", "--root", ".", "--program", "/no such/kbtf"])
    assert main(["dkms", "status", "--root", "."]) == 1
    assert "/no such/kbtf, which it runs, cannot be run" in capsys.readouterr().err

    Path(DROP_IN[1]).unlink()
    assert main(["dkms", "status", "--root", ".", "--json"]) == 1
    assert "kbtf/make is missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    "args", [["enable", "--json"], ["status", "--program", "/x"], ["enable", "--program", "x"], []]
)
def test_options_that_make_no_sense(run_dir: Path, args: list[str]) -> None:
    assert main(["dkms", *args, "--root", "."]) == 2
    assert not any(run_dir.iterdir())


@pytest.mark.parametrize(("text", "said"), [(None, "not installed"), ("old", "no drop-ins")])
def test_a_machine_whose_dkms_heeds_no_drop_in(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, said: str
) -> None:
    """Of 2.8 and before, /etc/dkms/framework.conf.d is unknown."""
    if text:
        (run_dir / "dkms").write_text(text)
        (run_dir / "dkms").chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name, path: str(run_dir / name) if text else None)

    with pytest.raises(ToolError, match=said):
        dkms.require_dkms()


def test_a_program_that_others_can_change_is_found(tmp_path: Path) -> None:
    program = tmp_path / "bin/kbtf"
    program.parent.mkdir()
    program.touch()
    program.chmod(0o777)

    assert dkms.exposed(["/usr/bin/env"]) is None
    assert dkms.exposed(["/usr/bin/env", str(program)]) == str(program)
    assert dkms.exposed([str(tmp_path / "nowhere")]) is None


@pytest.fixture
def stand_in(run_dir: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The make of the drop-in, with a make and a kbtf that say how they are called."""
    (run_dir / "bin").mkdir()
    (run_dir / "build/sub").mkdir(parents=True)
    make = '#!/bin/sh\necho "make $*"\ncat\n[ -z "$ko" ] || : >"$ko"\nexit ${code:-0}\n'
    (run_dir / "bin/make").write_text(make)
    (run_dir / "bin/kbtf").write_text('#!/bin/sh\necho "kbtf $*" | tee -a said\nexit ${bad:-0}\n')
    for program in (run_dir / "bin").iterdir():
        program.chmod(0o755)
    kbtf = str(run_dir / "bin/kbtf")
    assert main(["dkms", "enable", "--root", ".", "--program", kbtf]) == 0

    def run(*args: str, cwd: str = "build/sub", **env: str) -> subprocess.CompletedProcess[str]:
        path = f"/odd place:{run_dir}/etc/dkms/kbtf::{run_dir}/bin:/usr/bin:/bin"
        return subprocess.run(
            ["make", *args],
            executable=run_dir / DROP_IN[1],
            cwd=run_dir / cwd,
            env={"PATH": path, **env},
            input="input\n",
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("code", ["0", "2"])
def test_outside_of_a_build_make_is_as_it_is(
    stand_in: Callable[..., subprocess.CompletedProcess[str]], code: str
) -> None:
    """dkms asks .kernelvariables for CC by ``make -f -``, and cleans before it builds."""
    done = stand_in("-f", "-", "a b", code=code)

    assert (done.returncode, done.stdout, done.stderr) == (int(code), "make -f - a b\ninput\n", "")


def test_in_a_build_what_make_wrote_goes_to_kbtf(
    stand_in: Callable[..., subprocess.CompletedProcess[str]], run_dir: Path
) -> None:
    (run_dir / "build/make.log").touch()
    old = run_dir / "build/shipped.ko"
    old.touch()
    os.utime(old, (1, 1))

    done = stand_in("V=1", ko="../new.ko")

    assert done.returncode == 0
    assert done.stdout == (
        f"make V=1 cmd_btf_ko= quiet_cmd_btf_ko=\ninput\nkbtf run -v {run_dir}/build/new.ko\n"
    )


def test_a_make_that_fails_is_all_there_is(
    stand_in: Callable[..., subprocess.CompletedProcess[str]], run_dir: Path
) -> None:
    (run_dir / "build/make.log").touch()

    done = stand_in(ko="new.ko", code="2")

    assert done.returncode == 2
    assert "kbtf" not in done.stdout


def test_a_kbtf_that_fails_or_is_gone_fails_no_build(
    stand_in: Callable[..., subprocess.CompletedProcess[str]], run_dir: Path
) -> None:
    (run_dir / "build/make.log").touch()
    (run_dir / "bin/kbtf").write_text('#!/bin/sh\n[ "$1" = --version ]\n')
    done = stand_in(ko="new.ko")
    assert done.returncode == 0
    assert "a module stays without resilient BTF" in done.stderr

    (run_dir / "bin/kbtf").unlink()
    done = stand_in(ko="new.ko")
    assert done.returncode == 0
    assert "bin/kbtf does not run; modules are built without it" in done.stderr
    assert done.stdout.startswith("make \n")
