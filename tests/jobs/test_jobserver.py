# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Under make and ninja: never more jobs than tokens, and all tokens given back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.testing import make_module

if TYPE_CHECKING:
    from collections.abc import Iterator

KBTF = str(Path(sys.executable).parent / "kbtf")
COUNT = """\
import os, time
from kbtf import hookimpl


@hookimpl
def kbtf_after_link(module, config):
    mine = f"running/{os.getpid()}"
    open(mine, "w").close()
    with open("most", "a") as log:
        log.write(f"{len(os.listdir('running'))}\\n")
    time.sleep(0.02)
    os.unlink(mine)
"""
TOKENS = b"abc"  # those of make -j4, which keeps one implicitly


@pytest.fixture
def modules(run_dir: Path) -> list[str]:
    """Modules to be skipped, a plugin that counts who works at once, a place to count in."""
    (run_dir / "running").mkdir()
    (run_dir / "count.py").write_text(COUNT)
    names = [f"m{number:02}.ko" for number in range(40)]
    for name in names:
        (run_dir / name).write_bytes(make_module(name.removesuffix(".ko")))
    return names


def command(modules: list[str], *options: str) -> list[str]:
    return [KBTF, "run", "-q", "-p", "./count.py", *options, *modules]


def most_at_once(folder: Path) -> int:
    return max(map(int, (folder / "most").read_text().split()), default=0)


class Server:
    """A jobserver that lets its tokens be counted."""

    def __init__(self, auth: str, read: int, write: int) -> None:
        self.auth = auth
        self.read = read
        self.write = write

    def environment(self) -> dict[str, str]:
        return {**os.environ, "MAKEFLAGS": f" -j4 --jobserver-auth={self.auth} -- A=-j9"}

    def tokens(self) -> bytes:
        os.set_blocking(self.read, False)
        try:
            return bytes(sorted(os.read(self.read, 100)))
        except BlockingIOError:
            return b""


@pytest.fixture(params=["pipe", "fifo"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if request.param == "pipe":
        read, write = os.pipe()
        made = Server(f"{read},{write}", read, write)
    else:
        path = tmp_path / "GMfifo"
        os.mkfifo(path)
        read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        write = os.open(path, os.O_WRONLY)
        made = Server(f"fifo:{path}", read, write)
    os.write(write, TOKENS)
    yield made
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("options", [["-j16"], []])
def test_never_more_jobs_than_tokens_and_all_are_given_back(
    server: Server, modules: list[str], run_dir: Path, options: list[str]
) -> None:
    subprocess.run(
        command(modules, *options),
        env=server.environment(),
        pass_fds=[server.read, server.write],
        check=True,
    )
    assert most_at_once(run_dir) <= 4
    if options:
        assert most_at_once(run_dir) > 1
    assert server.tokens() == TOKENS


def test_without_free_tokens_one_job_runs(
    server: Server, modules: list[str], run_dir: Path
) -> None:
    assert server.tokens() == TOKENS
    subprocess.run(
        command(modules, "-j16"),
        env=server.environment(),
        pass_fds=[server.read, server.write],
        check=True,
    )
    assert most_at_once(run_dir) == 1
    assert server.tokens() == b""


def test_tokens_that_come_late_are_used(server: Server, modules: list[str], run_dir: Path) -> None:
    assert server.tokens() == TOKENS
    process = subprocess.Popen(
        command(modules, "-j16"),
        env=server.environment(),
        pass_fds=[server.read, server.write],
    )
    while not (run_dir / "most").exists():
        time.sleep(0.01)
    os.write(server.write, b"xy")
    assert process.wait(30) == 0
    assert 1 < most_at_once(run_dir) <= 3
    assert server.tokens() == b"xy"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_tokens_back(
    server: Server, modules: list[str], run_dir: Path, number: int
) -> None:
    process = subprocess.Popen(
        command(modules, "-j4"),
        env=server.environment(),
        pass_fds=[server.read, server.write],
    )
    end = time.monotonic() + 30
    while not (run_dir / "most").exists() or most_at_once(run_dir) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(30) in (130, 143)
    assert server.tokens() == TOKENS


def test_a_worker_that_is_killed_gives_its_token_back(
    server: Server, modules: list[str], run_dir: Path
) -> None:
    (run_dir / "count.py").write_text(
        COUNT + "    if module.name == 'm20':\n        os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        command(modules, "-j4"),
        env=server.environment(),
        pass_fds=[server.read, server.write],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 4
    assert b"m20.ko: the process that worked on it ended (killed by SIGKILL)" in done.stderr
    assert server.tokens() == TOKENS


@pytest.mark.parametrize("auth", ["-2,-2", "98,99", "0,1", "fifo:/nowhere", ""])
def test_a_jobserver_out_of_reach_leaves_one_job(
    modules: list[str], run_dir: Path, auth: str
) -> None:
    done = subprocess.run(
        command(modules, "-j4"),
        env={**os.environ, "MAKEFLAGS": f"--jobserver-auth={auth}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert most_at_once(run_dir) == 1
    assert b"warning: make's jobserver is out of reach" in done.stderr


def test_the_last_jobserver_of_makeflags_counts_and_variables_name_none(
    modules: list[str], run_dir: Path
) -> None:
    flags = "--jobserver-auth=98,99 --jobserver-auth=fifo:/nowhere -- X=--jobserver-auth=3,4"
    subprocess.run(command(modules[:4]), env={**os.environ, "MAKEFLAGS": flags}, check=True)
    assert most_at_once(run_dir) == 1


def test_without_a_jobserver_as_many_as_were_asked_for(modules: list[str], run_dir: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    subprocess.run(command(modules, "-j3"), env=env, check=True)
    assert 1 < most_at_once(run_dir) <= 3
    (run_dir / "most").unlink()
    subprocess.run(command(modules), env=env, check=True)
    assert most_at_once(run_dir) == 1


@pytest.mark.integration
@pytest.mark.parametrize("plus", ["+", ""])
@pytest.mark.parametrize("style", ["", "--jobserver-style=pipe"])
def test_under_make(modules: list[str], run_dir: Path, plus: str, style: str) -> None:
    make = shutil.which("make")
    assert make is not None
    if style:
        version = subprocess.run([make, "--version"], capture_output=True, text=True, check=True)
        if "GNU Make 4.3" in version.stdout:
            style = ""  # it has no other
    words = " ".join(command(modules, "-j16"))
    (run_dir / "Makefile").write_text(
        f"all: a b\na:\n\t{plus}{words}\nb:\n\tsleep 0.3\n.PHONY: all a b\n"
    )
    subprocess.run([make, "-j4", *filter(None, [style])], check=True, capture_output=True)
    assert most_at_once(run_dir) <= (4 if plus else 1)
