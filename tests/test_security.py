# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What kbtf runs and loads: no shell, and no code but from where the user says so."""

from __future__ import annotations

import ast
import gzip
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.testing import make_base, make_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
SHIPPED = sorted(
    path for top in ("kbtf", "plugins", "packaging") for path in (ROOT / top).rglob("*.py")
)
SHELLS = {"sh", "bash", "dash", "/bin/sh", "/bin/bash"}
FORBIDDEN = {
    "os": {"system", "popen", "posix_spawnp"},
    "subprocess": {"getoutput", "getstatusoutput"},
    "tempfile": {"mktemp"},
    "pty": {"spawn"},
}
RUN_DATA = {"eval", "exec", "compile", "pickle.load", "pickle.loads", "marshal.loads"}
ALLOWED = {
    (Path("kbtf/hooks/loading.py"), "exec"),  # a plugin that the user named
    (Path("kbtf/hooks/loading.py"), "compile"),
    (Path("kbtf/jobs/local.py"), "pickle.loads"),  # of a process that it forked
}


def calls(path: Path) -> Iterator[tuple[ast.Call, str]]:
    """The calls in a file, each with the name of what is called."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def test_there_is_something_to_look_through() -> None:
    assert len(SHIPPED) > 100
    assert any(name.startswith("subprocess.") for path in SHIPPED for _, name in calls(path))


def is_a_shell(call: ast.Call) -> bool:
    """Whether a call of `subprocess` is given a line for a shell, and not a list of words."""
    command = call.args[0] if call.args else None
    first = command.elts[0] if isinstance(command, ast.List) and command.elts else command
    return any(word.arg == "shell" for word in call.keywords) or (
        isinstance(command, ast.Constant | ast.JoinedStr)
        or (isinstance(first, ast.Constant) and first.value in SHELLS)
    )


def test_no_shell_runs() -> None:
    found = []
    for path in SHIPPED:
        for call, name in calls(path):
            module, _, function = name.rpartition(".")
            forbidden = function in FORBIDDEN.get(module, ())
            if forbidden or (module == "subprocess" and is_a_shell(call)):
                found.append(f"{path}:{call.lineno}: {name}")
    assert found == []


def test_no_data_are_run() -> None:
    found = []
    for path in SHIPPED:
        for call, name in calls(path):
            if name in RUN_DATA and (path.relative_to(ROOT), name) not in ALLOWED:
                found.append(f"{path}:{call.lineno}: {name}")
    assert found == []


# Where code comes from

TRAP = "open('trapped', 'w').close()\n"
TOML = 'plugins = ["./trap.py"]\n'


def kbtf(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("KBTF_")}
    program = Path(sys.executable).with_name("kbtf")
    return subprocess.run(
        [program, *args], env={**clean, **environment}, capture_output=True, text=True, check=False
    )


def lay_traps(folder: Path) -> None:
    """All by which code could get in, were kbtf to look for it in that folder."""
    folder.mkdir(exist_ok=True)
    for name in ("trap", "sitecustomize", "pluggy", "elftools", "kbtf_pass"):
        (folder / f"{name}.py").write_text(TRAP)
    info = folder / "kbtf_pass-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kbtf-pass\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[kbtf.plugins]\npass = kbtf_pass\n")
    for name in ("pahole", "sign-file"):
        (folder / name).write_text("#!/bin/sh\ntouch trapped\n")
        (folder / name).chmod(0o755)


def put_module(folder: Path) -> None:
    (folder / "vmlinux.btf").write_bytes(make_base().to_bytes())
    (folder / "m.ko").write_bytes(make_module(sections={".debug_info": b"x"}))


def test_nothing_of_the_modules_folder_is_run(run_dir: Path) -> None:
    folder = run_dir / "theirs"
    lay_traps(folder)
    (folder / "kbtf.toml").write_text(TOML)
    put_module(folder)

    for command in ("run", "show", "check"):
        kbtf(
            command, *(["--base", "theirs/vmlinux.btf"] if command == "run" else []), "theirs/m.ko"
        )

    assert not list(run_dir.rglob("trapped"))


def test_nothing_of_the_current_folder_is_run(run_dir: Path) -> None:
    lay_traps(run_dir)
    put_module(run_dir)

    kbtf("run", "--base", "vmlinux.btf", "m.ko")
    (run_dir / "kbtf.toml").write_text(TOML)
    refused = kbtf("run", "--base", "vmlinux.btf", "m.ko")

    assert refused.returncode == 2
    assert "kbtf.toml" in refused.stderr
    assert not list(run_dir.rglob("trapped"))


def test_a_plugin_file_runs_where_the_user_names_it(run_dir: Path) -> None:
    lay_traps(run_dir)
    put_module(run_dir)

    kbtf("run", "--base", "vmlinux.btf", "-p", "./trap.py", "m.ko")

    assert (run_dir / "trapped").exists()


# What others could read, or have prepared


FAKE_PAHOLE = """#!/bin/sh
case $1 in --version) echo v1.24; exit;; esac
for word; do
    case $word in --btf_encode_detached=*) stat -c %a "$(dirname "${word#*=}")" >mode;; esac
done
"""


def test_temporary_files_are_for_their_owner_alone(run_dir: Path) -> None:
    put_module(run_dir)
    (run_dir / "pahole").write_text(FAKE_PAHOLE)
    (run_dir / "pahole").chmod(0o755)
    program = Path(sys.executable).with_name("kbtf-pahole")
    pahole = str(run_dir / "pahole")
    environment = {**os.environ, "KBTF_ENCODER": "pahole", "KBTF_PAHOLE": pahole}

    subprocess.run(
        [program, "-J", "--btf_base", "vmlinux.btf", "m.ko"], env=environment, umask=0, check=True
    )

    assert (run_dir / "mode").read_text() == "700\n"


def test_no_variable_of_sudo_is_looked_at() -> None:
    for path in SHIPPED:
        assert "SUDO_" not in path.read_text(), path


@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_cache_that_another_user_prepared_is_not_used(run_dir: Path, mode: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    theirs = run_dir / "theirs"
    theirs.mkdir(mode=mode)
    os.chown(theirs, 65534, 65534)
    put_module(run_dir)
    (run_dir / "vmlinux.gz").write_bytes(gzip.compress(make_base().to_bytes()))

    done = kbtf("base", "vmlinux.gz", KBTF_CACHE_DIR=str(theirs))

    assert done.returncode == 0, done.stderr
    assert not list(theirs.iterdir())


# What a configuration may say that is merely found


UNSAFE = {
    "a program": 'pahole = "./pahole"',
    "a build directory": 'kdir = "."',
    "a key": 'sign = ["key", "cert"]',
    "a hash": 'hash = "sha1"',
    "a base": 'base = "vmlinux.btf"',
    "another release": "allow-other-release = true",
    "no signature": "strip-signature = true",
    "no result": "dry-run = true",
    "a plugin": 'plugins = ["sign"]',
    "a check that does not run": 'plugins = ["no:verify"]',
}


@pytest.mark.parametrize("name", ["kbtf.toml", "pyproject.toml"])
@pytest.mark.parametrize("case", UNSAFE)
def test_what_is_merely_found_sets_nothing_that_matters(
    case: str, name: str, run_dir: Path
) -> None:
    lay_traps(run_dir)
    put_module(run_dir)
    head = "[tool.kbtf]\n" if name == "pyproject.toml" else ""
    (run_dir / name).write_text(head + UNSAFE[case])

    for more in ((), ("--dry-run",)):
        refused = kbtf("run", *more, "--base", "vmlinux.btf", "m.ko")
        assert refused.returncode == 2, refused.stderr
        assert refused.stderr.startswith(f"kbtf: error: {name}: ")
        assert f"--config {name}" in refused.stderr
    assert not (run_dir / "trapped").exists()


def test_an_option_of_a_plugin_is_unsafe_unless_it_is_declared_otherwise(run_dir: Path) -> None:
    put_module(run_dir)
    (run_dir / "p.py").write_text(
        "from kbtf import hookimpl\n\n@hookimpl\ndef kbtf_add_options(group):\n"
        "    group.add('--scheduler')\n    group.add('--level', type=int, safe=True)\n"
    )
    command = ("run", "--dry-run", "-p", "./p.py", "--base", "vmlinux.btf", "m.ko")

    (run_dir / "kbtf.toml").write_text("level = 3\n")
    assert "kbtf.toml" not in kbtf(*command).stderr
    (run_dir / "kbtf.toml").write_text('scheduler = "tcp://192.0.2.1:8786"\n')
    assert "kbtf.toml: sets 'scheduler'" in kbtf(*command).stderr


@pytest.mark.parametrize("named", [(), ("--config", "kbtf.toml")])
@pytest.mark.parametrize(("owner", "mode"), [(65534, 0o644), (0, 0o646), (0, 0o664)])
def test_a_configuration_of_somebody_else_is_refused_by_name(
    owner: int, mode: int, named: tuple[str, ...], run_dir: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    put_module(run_dir)
    file = run_dir / "kbtf.toml"
    file.write_text("jobs = 1\n")
    os.chown(file, owner, 4 if mode == 0o664 else owner)
    file.chmod(mode)

    refused = kbtf("run", "--base", "vmlinux.btf", *named, "m.ko")

    assert refused.returncode == 3
    assert refused.stderr.startswith("kbtf: error: kbtf.toml: ")
    file.chmod(0o644)
    os.chown(file, 0, 0)
    assert "kbtf.toml" not in kbtf("run", "--base", "vmlinux.btf", *named, "m.ko").stderr


def fifo(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 8 << 30)


def holding(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text)

    return write


ODD_FILES = {
    "a FIFO": fifo,
    "an endless device": endless,
    "a sparse file": sparse,
    "brackets in brackets": holding("a = " + "[" * 100_000),
    "tables in tables": holding("a = " + "{a=" * 50_000),
    "a key of many parts": holding("a." * 50_000 + "b = 1"),
    "keys of many parts": holding("".join("a." * 999 + f"b{n} = 1\n" for n in range(100))),
    "a number of many digits": holding("jobs = " + "9" * 50_000),
    "a number of many hexadecimal digits": holding("jobs = 0x" + "f" * 50_000),
    "bytes that are no text": lambda path: path.write_bytes(b"\xff\xfe"),
    "a number of jobs that is none": holding('jobs = "many"'),
    "a number in the place of a table": holding("tool = 5"),
}


PYTHON = {
    "a number of many hexadecimal digits",
    "a number of jobs that is none",
    "a number in the place of a table",
}


@pytest.mark.parametrize(
    ("case", "option"),
    [
        (case, option)
        for case in ODD_FILES
        for option in ("", "--config", "-p")
        if option != "-p" or case not in PYTHON
    ],
)
def test_an_odd_configuration_or_plugin_is_one_line(case: str, option: str, run_dir: Path) -> None:
    put_module(run_dir)
    name = {"": "kbtf.toml", "--config": "c.toml", "-p": "./p.py"}[option]
    ODD_FILES[case](run_dir / name)

    cost = [resource.getrusage(resource.RUSAGE_CHILDREN)]
    refused = kbtf("run", "--base", "vmlinux.btf", *([option, name] if option else []), "m.ko")
    cost.append(resource.getrusage(resource.RUSAGE_CHILDREN))

    assert refused.returncode in ({3, 4} if option == "-p" else {2, 3}), refused.stderr
    assert refused.stderr.startswith("kbtf: error: ")
    assert name.removeprefix("./") in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert cost[1].ru_utime - cost[0].ru_utime < 5


@pytest.mark.parametrize(
    ("text", "refused"), [("tool = 5", False), ("[tool]\nkbtf = 5", True), ("[[tool]]", False)]
)
def test_a_pyproject_without_our_table(text: str, *, refused: bool, run_dir: Path) -> None:
    put_module(run_dir)
    (run_dir / "pyproject.toml").write_text(f"# kbtf\n{text}\n")

    done = kbtf("run", "--dry-run", "--base", "vmlinux.btf", "m.ko")

    assert "Traceback" not in done.stderr
    assert ("pyproject.toml: tool.kbtf = 5 is not a table" in done.stderr) == refused
