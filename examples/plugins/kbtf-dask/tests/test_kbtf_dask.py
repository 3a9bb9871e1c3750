# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A real scheduler and two worker processes over TCP on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kbtf.testing import make_base, make_module

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
SLOW = """\
import time
from kbtf import hookimpl


@hookimpl
def kbtf_embed_sections(module, config):
    time.sleep(0.1)
    module.set_section(".worked", b"on")
"""


class Cluster(NamedTuple):
    address: str
    workers: list[subprocess.Popen[bytes]]
    caches: list[Path]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    port = address.rpartition(":")[2]
    caches = [tmp_path / f"cache{number}" for number in range(2)]
    options = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path)]
    started = [
        start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"),
        *(
            start("worker", address, "--no-nanny", *options, KBTF_CACHE_DIR=str(cache))
            for cache in caches
        ),
    ]
    wait_for_workers(address, len(caches))
    yield Cluster(address, started[1:], caches)
    for process in started:
        process.kill()
        process.wait()


def start(*words: str, **env: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [BIN / "dask", *words],
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_workers(address: str, count: int) -> None:
    from distributed import Client

    with Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    base = make_base()
    (tmp_path / "vmlinux.btf").write_bytes(base.to_bytes())
    (tmp_path / "slow.py").write_text(SLOW)
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(40):
        from kbtf import BtfBuilder

        split = BtfBuilder(base.build())
        split.add_func("work", split.add_func_proto(0, [("number", 1)]))
        (tree / f"m{number}.ko").write_bytes(
            make_module(f"m{number}", btf=split.to_bytes(), release="6.12.0-test")
        )
    return tree


def kbtf(tmp_path: Path, tree: Path, output: str, *options: str) -> subprocess.Popen[bytes]:
    (tmp_path / output).mkdir()
    command = [str(BIN / "kbtf"), "run", "-q", "--base", "vmlinux.btf", "-p", "./slow.py"]
    return subprocess.Popen([*command, *options, "-o", output, str(tree)], cwd=tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.integration
def test_the_results_are_those_of_this_machine(
    cluster: Cluster, tree: Path, tmp_path: Path
) -> None:
    assert kbtf(tmp_path, tree, "here").wait() == 0

    assert kbtf(tmp_path, tree, "there", "--dask", cluster.address).wait() == 0

    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    base = (tmp_path / "vmlinux.btf").read_bytes()
    for cache in cluster.caches:
        assert [path.read_bytes() for path in cache.glob("*.btf")] == [base]


@pytest.mark.integration
def test_what_a_killed_worker_had_is_done_by_the_other(
    cluster: Cluster, tree: Path, tmp_path: Path
) -> None:
    assert kbtf(tmp_path, tree, "here").wait() == 0
    process = kbtf(tmp_path, tree, "there", "--dask", cluster.address)
    while not any(cluster.caches[0].glob("*.btf")):  # it got work
        assert process.poll() is None
        time.sleep(0.05)

    cluster.workers[0].send_signal(signal.SIGKILL)

    assert process.wait() == 0
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@pytest.mark.integration
def test_no_scheduler_is_one_line(tree: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [BIN / "kbtf", "run", "--base", "vmlinux.btf", "--dask", "tcp://127.0.0.1:1", str(tree)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert done.stderr.startswith("kbtf: error: no Dask scheduler at tcp://127.0.0.1:1: ")
    assert len(done.stderr.splitlines()) == 1
