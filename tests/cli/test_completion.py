# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Each shell is asked what it completes."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import missing
from kbtf.cli.command import COMMANDS
from kbtf.cli.commands.completion import script
from kbtf.cli.inventory import inventory

ZSH = """\
PS1='re''ady> '; unsetopt zle_bracketed_paste; LISTMAX=1000
autoload -U compinit; compinit -u -d "$PWD/.zcompdump"; source ./_kbtf
"""


def shell(name: str) -> str:
    found = shutil.which(name)
    return found or missing(f"no {name}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a module, a directory, and a name that has a space."""
    (tmp_path / "mymodule.ko").touch()
    (tmp_path / "my module.ko").touch()
    (tmp_path / "mydir").mkdir()
    return tmp_path


def bash(line: str, folder: Path) -> set[str]:
    """What bash offers at the end of a line, which is split as readline splits it."""
    words = line.replace("=", " = ").split(" ") if "=" in line else line.split(" ")
    code = (
        'eval "$1"; shift; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kbtf; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    command = [shell("bash"), "--norc", "-c", code, "bash", script("bash"), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert not done.stderr
    return set(done.stdout.split("\n")) - {""}


def fish(line: str, folder: Path) -> set[str]:
    (folder / "kbtf.fish").write_text(script("fish"))
    command = [shell("fish"), "--no-config", "-c", 'source kbtf.fish; complete -C "$argv"', line]
    env = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder / ".share")}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert not done.stderr
    offered = {word.partition("\t")[0].rstrip("/") for word in done.stdout.split("\n")}
    return offered - {"", "kbtf.fish"}


def zsh(line: str, wanted: tuple[str, ...], folder: Path) -> str:
    """What zsh has on its screen once it shows what is *wanted* at the end of the line."""
    (folder / "_kbtf").write_text(script("zsh"))
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "dumb", "COLUMNS": "200"}
    command = [shell("zsh"), "-f", "-i"]
    with subprocess.Popen(
        command, cwd=folder, env=env, stdin=follower, stdout=follower, stderr=follower
    ) as process:
        try:
            os.write(leader, ZSH.encode())
            until(leader, "ready> ")
            os.write(leader, f"{line}\t".encode())
            return until(leader, *wanted)
        finally:
            process.kill()
            os.close(follower)
            os.close(leader)


def until(terminal: int, *wanted: str) -> str:
    """What a terminal shows when all that is *wanted* is there and nothing follows it."""
    seen, last = "", time.monotonic() + 10
    while time.monotonic() < last:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 4096).decode()
        elif all(word in seen for word in wanted):
            break
    return seen


FILES = {"mymodule.ko", "my module.ko", "mydir"}


def test_bash_completes_commands(folder: Path) -> None:
    assert bash("kbtf ", folder) == {command.name for command in inventory()} >= set(COMMANDS)
    assert bash("kbtf ex", folder) == {"explain", "extract"}
    assert bash("kbtf --debug ex", folder) == {"explain", "extract"}


def test_bash_completes_options_those_of_passes_too(folder: Path) -> None:
    assert bash("kbtf run --di", folder) == {"--distill"}
    assert bash("kbtf run -q --js", folder) == {"--json"}
    assert bash("kbtf extract --di", folder) == set()


def test_bash_completes_what_an_option_takes(folder: Path) -> None:
    for line in ("kbtf run --distill ", "kbtf run --distill="):
        assert bash(line, folder) == {"auto", "always", "never"}
    assert bash("kbtf run --distill=al", folder) == {"always"}
    assert bash("kbtf build -C my", folder) == {"mydir"}
    assert bash("kbtf run --base my", folder) == FILES
    assert bash("kbtf run -j ", folder) == set()


def test_bash_completes_what_a_command_takes(folder: Path) -> None:
    assert bash("kbtf run -q my", folder) == FILES
    assert bash("kbtf dkms ", folder) == {"enable", "disable", "status"}
    assert bash("kbtf completion ", folder) == {"bash", "zsh", "fish"}
    assert bash("kbtf makefile my", folder) == set()


def test_bash_finds_no_fault_with_the_script() -> None:
    subprocess.run([shell("bash"), "-n"], input=script("bash"), text=True, check=True)


def test_fish_completes(folder: Path) -> None:
    assert fish("kbtf ", folder) == {command.name for command in inventory()}
    assert fish("kbtf run --di", folder) == {"--distill"}
    assert fish("kbtf run --distill ", folder) == {"auto", "always", "never"}
    assert fish("kbtf build -C my", folder) == {"mydir"}
    assert fish("kbtf run -j ", folder) == set()
    assert "mymodule.ko" in fish("kbtf run my", folder)
    assert fish("kbtf dkms ", folder) == {"enable", "disable", "status"}
    assert fish("kbtf makefile my", folder) == set()


def test_fish_takes_a_name_of_a_command_for_what_it_is(folder: Path) -> None:
    assert fish("kbtf schema run --distil", folder) == set()


@pytest.mark.parametrize(
    ("line", "shown", "hidden"),
    [
        ("kbtf ex", ("explain", "extract", "why a type is in .BTF.base"), "relocate"),
        ("kbtf run --di", ("--distill",), "--kernel"),
        ("kbtf run --distill ", ("always", "auto", "never"), "mymodule.ko"),
        ("kbtf run mymo", ("mymodule.ko",), "mydir"),
        ("kbtf build -C my", ("mydir/",), "mymodule.ko"),
        ("kbtf dkms ", ("disable", "enable", "status"), "mymodule.ko"),
    ],
)
def test_zsh_completes(line: str, shown: tuple[str, ...], hidden: str, folder: Path) -> None:
    screen = zsh(line, shown, folder)
    for word in shown:
        assert word in screen
    assert hidden not in screen


def test_what_is_installed_is_what_is_printed() -> None:
    share = Path(sys.prefix) / "share"
    if not share.joinpath("man/man1/kbtf.1").exists():
        missing("kbtf is not installed with its data")
    for shell_name, path in (
        ("bash", "bash-completion/completions/kbtf"),
        ("zsh", "zsh/site-functions/_kbtf"),
        ("fish", "fish/vendor_completions.d/kbtf.fish"),
    ):
        assert share.joinpath(path).read_text() == script(shell_name)
