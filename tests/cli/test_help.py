# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What kbtf says of itself: help, first steps, and what somebody meant who mistyped."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import kbtf
from kbtf.cli.command import COMMANDS
from kbtf.cli.inventory import inventory
from kbtf.program import main

KBTF = str(Path(sys.executable).with_name("kbtf"))
DEMO = Path(kbtf.__file__).parent / "demo"
# Each is what a system may have where nobody set up a locale, or set one up long ago.
ENCODINGS = {
    "C without coercion": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "C": {"LC_ALL": "C"},
    "latin1": {"PYTHONIOENCODING": "latin-1"},
    "UTF-8": {"LC_ALL": "C.UTF-8"},
}


def run(*args: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    unset = ("COLUMNS", "LC_ALL", "LANG", "NO_COLOR", "PYTHONIOENCODING", "PYTHONUTF8")
    env = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run([KBTF, *args], env=env | variables, capture_output=True, check=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_shows_how(name: str) -> None:
    module = import_module(f"kbtf.cli.commands.{name}")

    assert module.DESCRIPTION.strip().endswith((".", '."'))
    assert not module.DESCRIPTION.endswith("\n")
    commands = [line for line in module.EXAMPLE.split("\n") if f"kbtf {name}" in line]
    assert commands, module.EXAMPLE
    assert all(len(line) <= 100 and line.startswith("  ") for line in module.EXAMPLE.split("\n"))


@pytest.mark.parametrize("width", [60, 80, 100, 250])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_as_wide_as_the_terminal(
    name: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))

    assert main([name, "--help"]) == 0

    shown = capsys.readouterr().out
    example = import_module(f"kbtf.cli.commands.{name}").EXAMPLE
    assert f"example:\n{example}\n" in shown
    # what is one word cannot be shorter: a list of choices, a usage that a command writes itself
    text = shown.replace(example, "").partition("\n\n")[2]
    lines = [line for line in text.split("\n") if "{" not in line]
    assert max(map(len, lines)) <= min(width, 100)


@pytest.mark.parametrize("command", inventory(), ids=lambda command: command.name)
def test_every_option_and_argument_is_explained(command: kbtf.cli.inventory.Command) -> None:
    assert [option for option in command.arguments if not option.help] == []


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [
        ("doctor", ["--jobs=2", "--dry-run", "--strip-signature"], 1),
        ("plugins", ["--jobs=2", "--dry-run"], 0),
    ],
)
def test_options_of_a_run_that_have_no_effect_are_accepted_but_not_shown(
    name: str, words: list[str], code: int, run_dir: Path
) -> None:
    (run_dir / "empty").mkdir()
    (run_dir / "kbtf.toml").write_text("jobs = 2\n")

    assert main([name, "--config", "kbtf.toml", "-C", "empty", *words]) == code

    (command,) = (command for command in inventory() if command.name == name)
    shown = {flag for option in command.options for flag in option.flags}
    assert "--base" in shown
    assert not shown & {word.partition("=")[0] for word in words}


def test_help_of_a_command_with_json_names_its_schema() -> None:
    for command in inventory():
        shown = run(command.name, "--help").stdout.decode()
        assert (f"'kbtf schema {command.name}'" in shown) == command.json, command.name


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)])
def test_help_has_no_value_that_is_none(words: list[str]) -> None:
    assert b"None" not in run(*words, "--help").stdout


def test_kbtf_alone_says_what_to_do_next() -> None:
    done = run()

    assert done.returncode == 2
    assert not done.stdout
    for words in (b"kbtf doctor", b"kbtf build", b"kbtf run MODULE...", b"kbtf --help"):
        assert words in done.stderr
    assert len(done.stderr.splitlines()) < 10


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["distil"], "unknown command distil (did you mean distill?); see 'kbtf --help'"),
        (["bulid", "-C", "x"], "unknown command bulid (did you mean build?); see 'kbtf --help'"),
        (["xyzzy"], "unknown command xyzzy; see 'kbtf --help'"),
        (
            ["run", "--bsae", "v", "m.ko"],
            "unknown option --bsae (did you mean --base?); see 'kbtf run --help'",
        ),
        (
            ["run", "--distil=auto", "m.ko"],
            "unknown option --distil (did you mean --distill?); see 'kbtf run --help'",
        ),
        (["run", "--bsae"], "unknown option --bsae (did you mean --base?); see 'kbtf run --help'"),
        (["run", "-X"], "unknown option -X; see 'kbtf run --help'"),
        (["show", "--xyzzy", "m.ko"], "unknown option --xyzzy; see 'kbtf show --help'"),
        (
            ["run", "-j", "x"],
            "argument -j/--jobs: 'x' is not a number of jobs; see 'kbtf run --help'",
        ),
        (["demo", "more"], "too many arguments: more; see 'kbtf demo --help'"),
        (["--debug"], "no command is given; see 'kbtf --help'"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(args: list[str], says: str) -> None:
    done = run(*args)

    assert done.returncode == 2
    assert done.stderr.decode() == f"kbtf: error: {says}\n"


@pytest.mark.parametrize("variables", ENCODINGS.values(), ids=ENCODINGS)
def test_names_beyond_the_locale_are_printed(variables: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "modül-\u2603.ko"
    path.write_bytes((DEMO / "kfunc_module.ko").read_bytes())

    for args in (["show", str(path)], ["show", "--json", str(path)], ["stats", str(path)]):
        done = run(*args, **variables)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
    missing = run("show", str(tmp_path / "fehlt-\u2603.ko"), **variables)
    assert missing.returncode == 3
    assert len(missing.stderr.splitlines()) == 1


@pytest.mark.parametrize("variables", ENCODINGS.values(), ids=ENCODINGS)
def test_help_needs_no_locale(variables: dict[str, str]) -> None:
    for command in inventory():
        done = run(command.name, "--help", **variables)
        assert done.returncode == 0, done.stderr
        assert done.stdout.isascii()


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
    ids=str,
)
def test_a_terminal_gets_colour_unless_it_is_not_wanted(
    variables: dict[str, str], is_coloured: bool, tmp_path: Path
) -> None:
    base = tmp_path / "vmlinux.btf"
    base.write_bytes(kbtf.open_btf(str(DEMO / "vmlinux.btf.xz"), cache=False).to_bytes())
    module = tmp_path / "kfunc_module.ko"
    module.write_bytes((DEMO / "kfunc_module.ko").read_bytes())
    assert run("run", "--base", str(base), str(module)).returncode == 0

    shown = on_a_terminal("check", "--kernel", str(base), str(module), **variables)

    assert b" ok" in shown.replace(b"\x1b[32m", b"")
    assert (b"\x1b[" in shown) is is_coloured


def on_a_terminal(*args: str, **variables: str) -> bytes:
    """What a command prints if its standard output is a terminal."""
    leader, follower = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    env |= {"TERM": "xterm"} | variables
    subprocess.run([KBTF, *args], env=env, stdout=follower, stderr=follower, check=False)
    os.close(follower)
    shown = b""
    try:
        while data := os.read(leader, 4096):
            shown += data
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(leader)
    return shown


@pytest.mark.parametrize("name", COMMANDS)
def test_no_value_is_empty(
    name: str, run_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Empty is what a variable of a script expands to that is not set."""
    monkeypatch.setenv("KBTF_BASE", "base")  # else some commands require --base
    (command,) = (command for command in inventory() if command.name == name)
    needed = [word.metavar.strip("[].") for word in command.words]
    calls = [
        [option.flags[0], *[""] * len(option.metavar.split()), *needed]
        for option in command.options
        if option.metavar and not option.choices and "--features" not in option.flags  # a list
    ]
    calls += [["" if each is word else each for each in needed] for word in needed]

    for call in calls:
        assert main([name, *call]) == 2, call
        said = capsys.readouterr()
        assert said.out == ""
        assert (
            "is empty" in said.err
            or "'' is not a number" in said.err
            or "invalid choice" in said.err
        )
