# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Many modules at once: order, failures, workers that die, interruption."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.program import main
from kbtf.testing import make_module

if TYPE_CHECKING:
    from collections.abc import Callable

KBTF = [str(Path(sys.executable).parent / "kbtf")]
RELEASE = "6.12.117+deb12-amd64"


@pytest.fixture
def base(corpus: Path, run_dir: Path) -> Path:
    """The kernel of the corpus's modules."""
    path = run_dir / "vmlinux.btf"
    path.write_bytes((corpus / "base" / "6.12.117.btf").read_bytes())
    return path


@pytest.fixture
def tree(corpus: Path, run_dir: Path, base: Path) -> Path:
    """The corpus's modules with plain split BTF, in folders."""
    tree = run_dir / "tree"
    for number, split in enumerate(sorted((corpus / "split").glob("*.btf"))):
        folder = tree / f"{number % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        name = split.stem.replace("-", "_")
        data = make_module(name, btf=split.read_bytes(), release=RELEASE)
        (folder / f"{split.stem}.ko").write_bytes(data)
    return tree


def modules_of(tree: Path) -> list[Path]:
    return sorted(tree.rglob("*.ko"))


def contents(tree: Path) -> dict[str, bytes]:
    """All files, temporaries too."""
    files = (path for path in tree.rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): path.read_bytes() for path in files}


def run(*args: object) -> int:
    return main(["run", *map(str, args)])


def plugin(folder: Path, body: str) -> Path:
    path = folder / "pass.py"
    path.write_text(
        "import faulthandler, os, signal, time\nfrom kbtf import KbtfError, hookimpl\n\n\n"
        f"@hookimpl\ndef kbtf_distill(module, config):\n    {body}\n"
    )
    return path


def test_several_jobs_make_what_one_makes(tree: Path, base: Path, run_dir: Path) -> None:
    assert run("-q", "--base", base, "-o", "one", tree) == 0
    assert run("-q", "-j4", "--base", base, "-o", "four", tree) == 0

    assert contents(run_dir / "one") == contents(run_dir / "four")
    assert set(contents(run_dir / "one")) == set(contents(tree))


def test_what_is_written_is_what_libbpf_makes(tree: Path, base: Path, corpus: Path) -> None:
    from kbtf import Module

    assert run("-q", "-j3", "--base", base, tree) == 0

    for path in modules_of(tree):
        image = Module.open(str(path)).image
        expected = corpus / "distilled" / path.stem
        if expected.with_suffix(".base").read_bytes()[8:12] != bytes(4):
            assert image.data(".BTF") == expected.with_suffix(".split").read_bytes(), path
            assert image.data(".BTF.base") == expected.with_suffix(".base").read_bytes(), path


def test_results_come_in_the_order_of_the_input(
    tree: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(path) for path in modules_of(tree)][::-1]

    assert run("-j4", "--json", "--base", base, *names) == 0

    told = json.loads(capsys.readouterr().out)["modules"]
    assert [each["module"] for each in told] == names


def test_names_come_from_a_pipe_by_lines_or_zero_bytes(tree: Path, base: Path) -> None:
    names = [str(path) for path in modules_of(tree)]
    for separator in ("\n", "\0"):
        done = subprocess.run(
            [*KBTF, "run", "--dry-run", "-j2", "--base", base, "-"],
            input=separator.join(names).encode(),
            capture_output=True,
            check=True,
        )
        assert [line.split(":")[0] for line in done.stdout.decode().splitlines()] == names
        assert done.stderr == b""


def test_a_pattern_that_the_shell_left_alone(
    tree: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--dry-run", "--base", base, f"{tree}/[01]/*.ko") == 0

    expected = [str(path) for path in modules_of(tree) if path.parent.name in "01"]
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == expected


def test_one_that_fails_does_not_stop_the_others_and_the_worst_code_counts(
    tree: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    modules = modules_of(tree)
    modules[3].write_bytes(b"no module")
    missing = tree / "missing.ko"

    assert run("-j3", "--base", base, missing, *modules) == 3

    said = capsys.readouterr()
    assert len(said.out.splitlines()) == len(modules) - 1
    assert f"{modules[3]}: is not an ELF file" in said.err
    assert f"{missing}: no such file or directory" in said.err
    assert modules[3].read_bytes() == b"no module"


@pytest.mark.parametrize(
    ("death", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        (
            "faulthandler.disable(); os.kill(os.getpid(), signal.SIGSEGV)",
            "killed by SIGSEGV",
        ),
        ("os._exit(7)", "exit code 7"),
    ],
)
def test_a_worker_that_dies_costs_its_module_only(
    tree: Path, base: Path, run_dir: Path, capsys: pytest.CaptureFixture[str], death: str, how: str
) -> None:
    modules = modules_of(tree)
    victims = [modules[5], modules[20]]
    before = [path.read_bytes() for path in victims]
    names = [path.stem.replace("-", "_") for path in victims]
    dies = plugin(run_dir, f"if module.name in {names}: {death}")

    assert run("-j2", "-p", dies, "--base", base, tree) == 4

    said = capsys.readouterr()
    for victim in victims:
        assert f"{victim}: the process that worked on it ended ({how})" in said.err
    assert len(said.err.splitlines()) == 2
    assert len(said.out.splitlines()) == len(modules) - 2
    assert "(unchanged)" not in said.out
    assert [path.read_bytes() for path in victims] == before
    assert set(contents(tree)) == {str(path.relative_to(tree)) for path in modules}


def test_all_workers_dying_at_once_ends(
    tree: Path, base: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dies = plugin(run_dir, "os.kill(os.getpid(), signal.SIGKILL)")
    modules = modules_of(tree)[:6]

    assert run("-j3", "-p", dies, "--base", base, *modules) == 4

    assert capsys.readouterr().err.count("killed by SIGKILL") == 6


def started(tree: Path, base: Path, slow: Path, *options: str) -> subprocess.Popen[bytes]:
    """A run that is in the middle of its work."""
    process = subprocess.Popen(
        [*KBTF, "run", "-q", *options, "-p", str(slow), "--base", str(base), str(tree)],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_until(lambda: any(".kbtf-" in name for name in contents(tree)))
    return process


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("jobs", ["-j1", "-j3"])
@pytest.mark.parametrize(
    ("number", "to_group", "code"),
    [
        (signal.SIGINT, True, 130),  # Ctrl-C
        (signal.SIGTERM, False, 143),
        (signal.SIGTERM, True, 143),
        (signal.SIGHUP, False, 143),
    ],
)
def test_interruption_leaves_every_file_old_or_new_and_no_temporaries(
    tree: Path, base: Path, run_dir: Path, jobs: str, number: int, to_group: bool, code: int
) -> None:
    before = contents(tree)
    process = started(tree, base, plugin(run_dir, "time.sleep(0.02)"), jobs)

    (os.killpg if to_group else os.kill)(process.pid, number)

    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (code, b"")
    after = contents(tree)
    assert set(after) == set(before)
    for name, data in after.items():
        assert data == before[name] or b".BTF.base" in data, name
    wait_until(lambda: not processes_of_group(process.pid))


def processes_of_group(group: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


def test_after_a_kill_the_next_run_finishes_and_cleans_up(
    tree: Path, base: Path, run_dir: Path
) -> None:
    names = set(contents(tree))
    process = started(tree, base, plugin(run_dir, "time.sleep(0.02)"), "-j2")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert set(contents(tree)) > names

    assert run("-q", "-j2", "--base", base, tree) == 0

    assert set(contents(tree)) == names


def test_a_file_that_cannot_be_replaced_fails_alone(
    tree: Path, base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, victim = os.rename, modules_of(tree)[2].name

    def refuse(source: str, target: str, **folders: int) -> None:
        if target == victim:
            raise OSError(5, "Input/output error")
        rename(source, target, **folders)

    monkeypatch.setattr(os, "rename", refuse)

    assert run("-j2", "--base", base, tree) == 4

    said = capsys.readouterr()
    assert "input/output error" in said.err
    assert len(said.out.splitlines()) == len(modules_of(tree)) - 1


def test_progress_is_for_terminals_only(tree: Path, base: Path, run_dir: Path) -> None:
    slow = plugin(run_dir, "time.sleep(0.02)")
    command = [*KBTF, "run", "--dry-run", "-j2", "-p", str(slow), "--base", str(base), str(tree)]
    terminal, its_end = pty.openpty()
    with open(terminal, "rb", buffering=0) as seen:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=its_end,
            env={**os.environ, "TERM": "xterm"},
            check=True,
        )
        os.close(its_end)
        text = b""
        try:
            while part := seen.read(4096):
                text += part
        except OSError:
            pass  # the other end is closed
    assert f"of {len(modules_of(tree))} modules, ".encode() in text
    assert text.endswith(b"\r\x1b[K")
    assert b"\x1b" not in done.stdout

    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b""


def test_two_modules_of_one_name_from_two_folders_keep_their_folders(
    tree: Path, base: Path, run_dir: Path
) -> None:
    source = modules_of(tree)[0]
    twin = tree / "other" / source.name
    twin.parent.mkdir()
    twin.write_bytes(source.read_bytes())
    (run_dir / "out").mkdir()

    assert run("-q", "-j2", "--base", base, "-o", "out", tree) == 0

    assert (run_dir / "out" / "other" / source.name).exists()
    assert (run_dir / "out" / source.relative_to(tree)).exists()


def test_check_says_the_same_with_several_jobs(
    tree: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = modules_of(tree)[7]
    broken.write_bytes(b"no module")
    said = []
    for jobs in ("-j1", "-j4"):
        assert main(["check", jobs, "--json", "--kernel", str(base), str(tree)]) == 3
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert len(json.loads(said[0])["results"]) == len(modules_of(tree))


def test_a_flat_folder_is_listed_once_a_chunk_and_not_once_a_module(
    tree: Path, base: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_dir / "out").mkdir()
    listed = []
    listdir = os.listdir

    def count(path: int | str = ".") -> list[str]:
        listed.append(path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", count)

    assert run("-q", "--base", base, "-o", "out", *modules_of(tree)) == 0

    assert len([path for path in listed if isinstance(path, int)]) == 1


@pytest.mark.parametrize("words", [["-j", "-1"], ["-j", "x"], ["--jobs", ""]])
def test_a_number_of_jobs_that_is_none(run_dir: Path, words: list[str]) -> None:
    assert run(*words, "a.ko") == 2
