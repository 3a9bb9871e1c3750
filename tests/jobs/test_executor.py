# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The work on executors: what a plugin returns, however it behaves."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kbtf import hookimpl
from kbtf.program import main
from kbtf.testing import make_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RELEASE = "6.12.117+deb12-amd64"


class Elsewhere(Executor):
    """Runs the tasks of a run in a process of their own, as a machine on a network would."""

    def __init__(self) -> None:
        self.tasks: list[bytes] = []
        self.is_down = False
        self.disturb: Callable[[int], None] = lambda number: None
        self._process: ProcessPoolExecutor | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks.append(pickle.dumps((fn, args, kwargs)))
        try:
            self.disturb(len(self.tasks))
        except Exception as error:
            lost: Future[Any] = Future()
            lost.set_exception(error)
            return lost
        if self._process is None:
            self._process = ProcessPoolExecutor(1, get_context("spawn"))
        return self._process.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.is_down = True
        if self._process is not None:
            self._process.shutdown()
            self._process = None


class WorkerKilledError(Exception):
    """As the libraries of clusters have it."""


@pytest.fixture
def tree(corpus: Path, run_dir: Path) -> Path:
    (run_dir / "vmlinux.btf").write_bytes((corpus / "base" / "6.12.117.btf").read_bytes())
    tree = run_dir / "tree"
    tree.mkdir()
    for split in sorted((corpus / "split").glob("*.btf"))[:12]:
        data = make_module(split.stem.replace("-", "_"), btf=split.read_bytes(), release=RELEASE)
        (tree / f"{split.stem}.ko").write_bytes(data)
    return tree


@pytest.fixture
def elsewhere(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    """An executor that the run is given, on a machine with an empty cache."""
    executor = Elsewhere()
    give(executor, monkeypatch)
    monkeypatch.setenv("KBTF_CACHE_DIR", str(tmp_path / "cache"))
    yield executor
    assert executor.is_down


def give(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a plugin return *executor*."""
    from kbtf.hooks import manager
    from kbtf.hooks.plugin import Plugin

    make = manager.make_manager

    def with_executor(wanted: Any = ()) -> manager.Manager:
        made = make(wanted)
        made.use_pluggy()  # built-in passes return nothing
        hook = hookimpl(lambda config: executor)
        plugin = SimpleNamespace(kbtf_executor=hook, __name__="executor")
        made.register(Plugin("executor", "", "built-in", plugin))
        return made

    monkeypatch.setattr("kbtf.cli.session.make_manager", with_executor)


def run(*args: object) -> int:
    return main(["run", "-q", "--base", "vmlinux.btf", *map(str, args)])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def expected(tree: Path, run_dir: Path) -> dict[str, bytes]:
    """What a run here makes."""
    (run_dir / "here").mkdir()
    command = [str(Path(sys.executable).parent / "kbtf"), "run", "-q", "--base", "vmlinux.btf"]
    subprocess.run([*command, "-o", "here", str(tree)], check=True)
    return contents(run_dir / "here")


def test_the_results_are_those_of_a_run_here(
    elsewhere: Elsewhere, tree: Path, expected: dict[str, bytes]
) -> None:
    assert run(tree) == 0

    assert contents(tree) == expected


def test_a_base_travels_once_and_is_kept_by_its_hash(
    elsewhere: Elsewhere, tree: Path, run_dir: Path, tmp_path: Path
) -> None:
    size = (run_dir / "vmlinux.btf").stat().st_size

    assert run("--dry-run", tree) == 0

    assert sum(len(task) > size for task in elsewhere.tasks) == 1
    (kept,) = (tmp_path / "cache").glob("contents_*.btf")
    assert kept.read_bytes() == (run_dir / "vmlinux.btf").read_bytes()
    elsewhere.tasks.clear()
    assert run(tree) == 0
    assert max(map(len, elsewhere.tasks)) < size


def test_a_damaged_base_in_the_cache_is_sent_again(
    elsewhere: Elsewhere, tree: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    assert run("--dry-run", tree) == 0
    (kept,) = (tmp_path / "cache").glob("contents_*.btf")
    kept.write_bytes(b"damaged" + kept.read_bytes()[7:])

    assert run(tree) == 0

    assert contents(tree) == expected


def test_nothing_of_this_machine_is_read_there(
    elsewhere: Elsewhere, tree: Path, run_dir: Path, expected: dict[str, bytes]
) -> None:
    def hide(number: int) -> None:
        os.chdir("/")

    elsewhere.disturb = hide
    for path in tree.iterdir():
        path.rename(run_dir / path.name)
    modules = [str(run_dir / name) for name in expected]

    code = main(["run", "-q", "--base", str(run_dir / "vmlinux.btf"), *modules])

    assert code == 0
    assert {name: (run_dir / name).read_bytes() for name in expected} == expected


def test_what_a_killed_worker_had_is_done_again(
    elsewhere: Elsewhere, tree: Path, expected: dict[str, bytes]
) -> None:
    def kill(number: int) -> None:
        if number == 3:
            raise WorkerKilledError("tcp://10.0.0.2:1234")

    elsewhere.disturb = kill

    assert run(tree) == 0

    assert contents(tree) == expected


def test_a_module_that_kills_every_worker_fails_alone(
    elsewhere: Elsewhere,
    tree: Path,
    expected: dict[str, bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    victim = sorted(tree.iterdir())[4]
    before = victim.read_bytes()

    def kill(number: int) -> None:
        if before in elsewhere.tasks[-1]:
            raise WorkerKilledError("out of memory")

    elsewhere.disturb = kill

    assert run(tree) == 4

    assert contents(tree) == {**expected, victim.name: before}
    said = capsys.readouterr().err
    assert said == (
        f"kbtf: error: {victim}: no worker finished it: WorkerKilledError: out of memory\n"
    )


def test_an_executor_that_breaks_down_fails_what_is_left(
    elsewhere: Elsewhere, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(tree)

    def refuse(*args: object, **kwargs: object) -> Future[Any]:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(elsewhere, "submit", refuse)

    assert run(tree) == 4

    assert contents(tree) == before


def test_workers_of_another_version_are_refused(
    elsewhere: Elsewhere,
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from kbtf.run import task as remote_run

    process = remote_run.process
    older = lambda package: process(package._replace(version="0.0.1"))  # noqa: E731
    monkeypatch.setattr(
        Elsewhere,
        "submit",
        lambda self, function, package: ThreadPoolExecutor(1).submit(older, package),
    )
    elsewhere.is_down = True

    assert run(tree) == 4

    assert "install the same version there" in capsys.readouterr().err


def test_broken_input_is_told_as_here(
    elsewhere: Elsewhere, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, stale = sorted(tree.iterdir())[2:4]
    broken.write_bytes(b"no module")
    stale.write_bytes(make_module("stale", btf=b"\x9f\xeb\x01", release=RELEASE))

    assert run(tree) == 3

    said = capsys.readouterr().err
    assert f"{broken}: is not an ELF file" in said
    assert f"{stale}: .BTF: " in said
    assert len(said.splitlines()) == 2


def test_options_and_plugins_hold_there_too(
    elsewhere: Elsewhere, tree: Path, run_dir: Path
) -> None:
    (run_dir / "mark.py").write_text(
        "from kbtf import hookimpl\n\n\n@hookimpl\ndef kbtf_embed_sections(module, config):\n"
        "    module.set_section('.mark', config['distill'].encode())\n"
    )

    assert run("--distill", "never", "-p", "./mark.py", tree) == 0

    from kbtf import Module

    for path in tree.iterdir():
        image = Module.open(str(path)).image
        assert image.data(".mark") == b"never"
        assert image.data(".BTF.base") is None


def test_no_key_is_sent_there(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    executor = Elsewhere()
    give(executor, monkeypatch)
    (tree / "key").write_text("secret")

    assert run("--sign", tree / "key", tree / "key", "--base", "vmlinux.btf", tree) == 2

    assert "keys are not sent to other machines" in capsys.readouterr().err
    assert not executor.tasks


def test_check_says_the_same_as_here(
    elsewhere: Elsewhere,
    tree: Path,
    capsys: pytest.CaptureFixture[str],
    corpus: Path,
    run_dir: Path,
) -> None:
    (run_dir / "other.btf").write_bytes((corpus / "base" / "6.12.115.btf").read_bytes())
    assert run(*sorted(tree.iterdir())[:6]) == 0
    (tree / "broken.ko").write_bytes(b"no module")
    command = ["check", "--json", "--kernel", "vmlinux.btf", "--kernel", "other.btf", str(tree)]
    here = subprocess.run(
        [str(Path(sys.executable).parent / "kbtf"), *command], capture_output=True, check=False
    )

    code = main(command)

    assert len(elsewhere.tasks) > 1
    assert code == here.returncode
    assert capsys.readouterr().out == here.stdout.decode()


def test_the_executor_of_the_documentation_works(
    tree: Path, run_dir: Path, expected: dict[str, bytes], root: Path
) -> None:
    text = (root / "docs" / "batch.md").read_text()
    (run_dir / "pool.py").write_text(text.split("```python\n")[1].partition("```")[0])
    command = [str(Path(sys.executable).parent / "kbtf"), "run", "-q", "--base", "vmlinux.btf"]

    subprocess.run([*command, "-p", "./pool.py", str(tree)], check=True)

    assert contents(tree) == expected
