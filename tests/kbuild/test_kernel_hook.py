# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The hook for new kernels: where it goes, and that no installation fails for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import missing
from shown import block

KBTF = str(Path(sys.executable).with_name("kbtf"))
DEBIAN = "etc/kernel/postinst.d"
OTHER = "usr/lib/kernel/install.d"
SHELLS = {
    "dash": ["dash"],
    "dash -e": ["dash", "-e"],
    "bash --posix": ["bash", "--posix", "-eu"],
    "busybox": ["busybox", "sh", "-e"],
}
CALLS = {
    "Debian": ["RELEASE", "/boot/vmlinuz-RELEASE"],
    "kernel-install": ["add", "RELEASE", "/boot/x", "/lib/modules/RELEASE/vmlinuz"],
}


def kbtf(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([KBTF, *args], capture_output=True, text=True, check=False)


def hook(root: Path, program: str, place: str = DEBIAN) -> Path:
    (root / place).mkdir(parents=True, exist_ok=True)
    done = kbtf("status", "--hook", "enable", "--root", str(root), "--program", program)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.removeprefix("wrote ").strip())


def installed_release() -> str:
    found = sorted(os.listdir("/lib/modules")) if os.path.isdir("/lib/modules") else []
    if not found:
        missing("no kernel's modules are installed")
    return found[0]


@pytest.mark.parametrize(
    ("place", "written"),
    [(DEBIAN, f"{DEBIAN}/zz-kbtf"), (OTHER, "etc/kernel/install.d/95-kbtf.install")],
)
def test_it_is_written_where_the_distribution_looks_and_removed(
    place: str, written: str, tmp_path: Path
) -> None:
    path = hook(tmp_path, KBTF, place)
    assert path == tmp_path / written
    assert os.access(path, os.X_OK)
    done = kbtf("status", "--hook", "disable", "--root", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"removed {path}\n")
    assert not path.exists()
    done = kbtf("status", "--hook", "disable", "--root", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "not enabled\n")


def test_a_file_of_somebody_else_stays(tmp_path: Path) -> None:
    path = tmp_path / DEBIAN / "zz-kbtf"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    for action in ("enable", "disable"):
        done = kbtf("status", "--hook", action, "--root", str(tmp_path))
        assert done.returncode == 3
        assert "was not written by kbtf" in done.stderr
    assert path.read_text() == "#!/bin/sh\n"


def test_a_system_without_a_place_for_it_is_said(tmp_path: Path) -> None:
    done = kbtf("status", "--hook", "enable", "--root", str(tmp_path))
    assert done.returncode == 4
    assert DEBIAN in done.stderr


def program(folder: Path, text: str) -> str:
    path = folder / "program"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("shell", SHELLS)
def test_it_prints_three_lines_at_most_and_ends_with_0(
    shell: str, call: str, tmp_path: Path
) -> None:
    if not shutil.which(SHELLS[shell][0]):
        missing(f"{SHELLS[shell][0]} is not installed")
    release = installed_release()
    talkative = program(tmp_path, '#!/bin/sh\nfor n in 1 2 3 4 5; do echo "$*"; done\nexit 1\n')
    words = [word.replace("RELEASE", release) for word in CALLS[call]]
    done = subprocess.run(
        [*SHELLS[shell], str(hook(tmp_path, talkative)), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"status -q --kernel {release}\n" * 3


@pytest.mark.parametrize(
    "text",
    ["#!/nowhere/python3\n", "#!/bin/sh\nkill -9 $$\n", "#!/bin/sh\nexit 4\n", None],
    ids=["no interpreter", "killed", "fails", "removed"],
)
def test_a_kbtf_that_does_not_run_is_passed_over(text: str | None, tmp_path: Path) -> None:
    path = hook(tmp_path, program(tmp_path, text or ""))
    if text is None:
        (tmp_path / "program").unlink()
    release = installed_release()
    done = subprocess.run(["sh", "-e", path, release], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_full_disk_behind_it_is_no_failure(tmp_path: Path) -> None:
    path = hook(tmp_path, KBTF)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            ["sh", "-e", path, installed_release()],
            stdout=full,
            env={**os.environ, "KBTF_CACHE_DIR": "/proc/nowhere"},
            check=False,
        )
    assert done.returncode == 0


@pytest.mark.parametrize("words", [[], ["remove", "6.1.0"], ["6.1.0-nowhere"], ["$(touch x)"]])
def test_other_calls_do_nothing(words: list[str], tmp_path: Path) -> None:
    path = hook(tmp_path, program(tmp_path, "#!/bin/sh\necho called\n"))
    done = subprocess.run(["sh", "-e", path, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_commands_of_the_page_write_and_remove_it(tmp_path: Path) -> None:
    (tmp_path / DEBIAN).mkdir(parents=True)
    for command in block("docs/status.md", "hook").splitlines():
        words = command.removeprefix("sudo kbtf ").split()
        assert kbtf(*words, "--root", str(tmp_path)).returncode == 0
    assert not list((tmp_path / DEBIAN).iterdir())
