# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Programs that do part of the work: what they see, and that they do not outlive kbtf."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.testing import make_base, make_module

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1.0
SLEEPER = '#!/bin/sh\necho $$ >"$0.pid"\nexec sleep 60\n'


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def module(run_dir: Path) -> Path:
    (run_dir / "vmlinux.btf").write_bytes(make_base().to_bytes())
    (run_dir / "m.ko").write_bytes(make_module(sections={".debug_info": b"x"}))
    (run_dir / "n.ko").write_bytes(make_module(sections={".debug_info": b"x"}))
    return run_dir / "m.ko"


def kbtf(name: str, *words: object, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name(name)), *map(str, words)],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*words: object, **variables: str) -> subprocess.Popen[str]:
    return kbtf("kbtf", "run", "--base", "vmlinux.btf", *words, **variables)


BY_PAHOLE = ("--encoder", "pahole", "--pahole")
STARTS: dict[str, Callable[[str], subprocess.Popen[str]]] = {
    "pahole": lambda pahole: run(*BY_PAHOLE, pahole, "m.ko"),
    "pahole of a worker": lambda pahole: run("-j2", *BY_PAHOLE, pahole, "m.ko", "n.ko"),
    "pahole of the stand-in": lambda pahole: kbtf(
        "kbtf-pahole",
        *("-J", "--btf_base", "vmlinux.btf", "m.ko"),
        KBTF_PAHOLE=pahole,
        KBTF_ENCODER="pahole",
    ),
}


@pytest.mark.parametrize("start", STARTS)
def test_a_helper_ends_with_a_killed_parent(start: str, module: Path) -> None:
    pahole = program(module.with_name("pahole"), SLEEPER)
    pid_file = module.with_name("pahole.pid")
    process = STARTS[start](str(pahole))
    while not (pid_file.exists() and pid_file.read_text().strip()):
        assert process.poll() is None
        time.sleep(0.01)
    helper = int(pid_file.read_text())

    process.send_signal(signal.SIGKILL)
    process.communicate()
    until = time.monotonic() + SECOND
    while is_running(helper) and time.monotonic() < until:
        time.sleep(0.01)

    assert not is_running(helper)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"  # whoever inherited it may not have waited for it yet


@pytest.mark.parametrize("name", ["kbtf", "kbtf-pahole"])
def test_pahole_does_not_see_the_passphrase_of_the_key(name: str, module: Path) -> None:
    pahole = program(module.with_name("pahole"), '#!/bin/sh\nenv >"$0.env"\necho v1.29\n')
    if name == "kbtf":
        process = run(*BY_PAHOLE, str(pahole), "m.ko", KBUILD_SIGN_PIN="secret")
    else:
        process = kbtf(name, "--version", KBTF_PAHOLE=str(pahole), KBUILD_SIGN_PIN="secret")
    process.communicate()

    seen = module.with_name("pahole.env").read_text()
    assert "PATH=" in seen
    assert "secret" not in seen


def test_no_temporary_directory_is_the_machines_fault(module: Path) -> None:
    program(module.with_name("pahole"), "#!/bin/sh\necho v1.29\n")
    path = f"{module.parent}:{os.environ['PATH']}"
    command = str(Path(sys.executable).with_name("kbtf"))
    words = [command, "run", "--base", "vmlinux.btf", *BY_PAHOLE, "pahole", "m.ko"]
    # where nothing can be written there is none
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *words],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("kbtf: error: ")
    assert "no usable temporary directory" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_pahole_that_crashes_is_said_to(module: Path) -> None:
    before = module.read_bytes()
    pahole = program(
        module.with_name("pahole"),
        "#!/bin/sh\n[ $1 = --version ] && echo v1.27 && exit\nkill -SEGV $$\n",
    )

    process = run(*BY_PAHOLE, str(pahole), "m.ko")
    _, said = process.communicate()

    assert process.returncode == 4
    assert f"pahole 1.27 crashed (signal {signal.SIGSEGV:d}); " in said
    assert module.read_bytes() == before
