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

from conftest import missing
from kbtf.errors import ToolError
from kbtf.kbuild import dkms
from kbtf.kbuild.exposed import exposed
from kbtf.program import main
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
    assert f"enabled, runs {KBTF}\n" in capsys.readouterr().out
    before = kdirs.states(run_dir)
    assert main(["dkms", "enable", *at, "--program", str(KBTF)]) == 0
    assert kdirs.states(run_dir) == before

    assert main(["dkms", "disable", *at]) == 0
    assert not [path for path in Path("root").rglob("*") if path.is_file()]
    capsys.readouterr()
    assert main(["dkms", "disable", *at]) == 0
    assert capsys.readouterr().out == "not enabled\n"


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


@pytest.mark.parametrize(
    ("text", "said"), [(None, "not installed"), ("old", "does not read drop-ins")]
)
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

    assert exposed(["/usr/bin/env"]) is None
    assert exposed(["/usr/bin/env", str(program)]) == str(program)
    assert exposed([str(tmp_path / "nowhere")]) is None


@pytest.fixture
def stand_in(run_dir: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The make of the drop-in, with a make that says how it is called."""
    (run_dir / "bin").mkdir()
    (run_dir / "bin/make").write_text(
        '#!/bin/sh\necho "make $*|$MAKEFILES|$KBTF_STEP|$KBTF"\ncat\nexit ${code:-0}\n'
    )
    (run_dir / "bin/make").chmod(0o755)
    assert main(["dkms", "enable", "--root", ".", "--program", "/opt/my kbtf/bin/kbtf"]) == 0

    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        path = f"/odd place:{run_dir}/etc/dkms/kbtf::{run_dir}/bin:/usr/bin:/bin"
        return subprocess.run(
            ["make", *args],
            executable=run_dir / DROP_IN[1],
            cwd=run_dir,
            env={"PATH": path, **env},
            input="input\n",
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("code", ["0", "2"])
def test_make_is_as_it_is_but_for_the_step(
    stand_in: Callable[..., subprocess.CompletedProcess[str]], run_dir: Path, code: str
) -> None:
    done = stand_in("-f", "-", "a b", code=code, MAKEFILES="/mine.mk")

    step = 'exec "$KBTF" run -v|/opt/my kbtf/bin/kbtf'
    said = f"make -f - a b|{run_dir}/etc/dkms/kbtf/hook.mk /mine.mk|{step}\ninput\n"
    assert (done.returncode, done.stdout, done.stderr) == (int(code), said, "")


def test_the_step_of_kbtf_build_stays_its_own(
    stand_in: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = stand_in(KBTF_STEP="cd / && exec kbtf build", MAKEFILES="/its/hook.mk")

    assert done.stdout.startswith("make |/its/hook.mk|cd / && exec kbtf build|\n")


SHELLS = [
    ["dash"],
    ["dash", "-e"],
    ["dash", "-eu"],
    ["bash", "-eu"],
    ["bash", "--posix"],
    ["bash", "--posix", "-eu"],
    ["busybox", "sh"],
    ["busybox", "sh", "-eu"],
]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("path", ["/usr/bin:/bin", "/an odd/place:/usr/bin:/bin"])
@pytest.mark.parametrize("program", ["there", "gone"])
def test_any_shell_sources_the_configuration(
    run_dir: Path, shell: list[str], path: str, program: str
) -> None:
    """Of dkms 3.2, common.postinst sources it with /bin/sh when any -dkms package is installed."""
    if shutil.which(shell[0]) is None:
        missing(f"{shell[0]} is not installed")
    main(["dkms", "enable", "--root", ".", "--program", str(KBTF)])
    if program == "gone":
        Path(DROP_IN[1]).unlink()
    script = f". {run_dir}/{DROP_IN[0]}\necho alive\n"

    done = subprocess.run(
        [shutil.which(shell[0]) or "", *shell[1:], "-c", script],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "alive\n")
    warned = "odd" in path and shell[0] == "bash"
    assert ("modules are built without kbtf" in done.stderr) is warned
    assert len(done.stderr.splitlines()) == warned
