# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``$KBTF_BASE`` is the default of ``--base``, in all commands that have it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import kbtf
from bpf.objects import compile_c
from kbtf.cli.inventory import inventory
from kbtf.program import main

DEMO = Path(kbtf.__file__).parent / "demo"
PROGRAM = (
    'extern int absent(void) __attribute__((section(".ksyms"), weak));\n'
    '__attribute__((section("tc"), used)) int f(void *c) { return absent ? absent() : 0; }\n'
)
COMMANDS = {
    "build": None,  # these two hand their options to the same phases as run
    "doctor": None,
    "run": ["run", "--dry-run", "plain.ko"],
    "dump": ["dump", "plain.ko"],
    "encode": None,  # takes DWARF, which the modules here do not have
    "explain": ["explain", "plain.ko"],
    "kfuncs": ["kfuncs", "plain.ko"],
    "ksyms": ["ksyms", "prog.bpf.o"],
    "undistill": ["undistill", "-o", "out.ko", "distilled.ko"],
    "plugins": ["plugins", "--trace", "plain.ko"],
}


def test_all_commands_with_the_option_are_here() -> None:
    found = {
        command.name
        for command in inventory()
        if any("--base" in option.flags for option in command.options)
    }
    assert found == set(COMMANDS)


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was printed, but for the milliseconds of a trace."""
    return re.sub(r"\d+\.\d\d", "", "".join(capsys.readouterr())).split()


@pytest.fixture
def base(run_dir: Path) -> str:
    """A base where kbtf would not look, and modules that need it."""
    assert main(["base", str(DEMO / "vmlinux.btf.xz"), "-o", "odd.btf"]) == 0
    shutil.copy(DEMO / "kfunc_module.ko", "plain.ko")
    shutil.copy(DEMO / "kfunc_module.ko", "distilled.ko")
    assert main(["run", "-q", "--base", "odd.btf", "distilled.ko"]) == 0
    compile_c(PROGRAM, run_dir / "prog.bpf.o")
    return "odd.btf"


@pytest.mark.parametrize("command", [name for name in COMMANDS if COMMANDS[name]])
def test_the_environment_does_as_the_option(
    command: str, base: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = COMMANDS[command] or []
    capsys.readouterr()
    assert main([*words, "--base", base]) in (0, 1)
    expected = said(capsys)

    monkeypatch.setenv("KBTF_BASE", base)
    assert main(words) in (0, 1)

    assert said(capsys) == expected


def test_the_option_goes_before_the_environment(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBTF_BASE", "missing.btf")
    for command, words in COMMANDS.items():
        if words:
            assert main([*words, "--base", base]) in (0, 1), command


def test_a_base_that_is_not_there_is_an_error_even_if_no_module_needs_it(
    base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("plain.ko", "distilled.ko"):
        assert main(["run", "--base", "missing.btf", name]) == 3
        said = capsys.readouterr()
        assert (said.out, said.err) == ("", "kbtf: error: missing.btf: no such file or directory\n")


def test_dump_shows_what_stands_alone_as_it_is(
    base: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    for file in (base, "distilled.ko"):
        assert main(["dump", file]) == 0
        expected = capsys.readouterr().out
        monkeypatch.setenv("KBTF_BASE", base)
        assert main(["dump", file]) == 0
        assert capsys.readouterr().out == expected
        monkeypatch.delenv("KBTF_BASE")


@pytest.mark.parametrize("command", ["base", "status"])
def test_an_option_that_a_command_lacks_is_not_its_hint(
    run_dir: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (run_dir / "root/lib/modules/9.9.9/kernel").mkdir(parents=True)
    words = {"base": ["--release", "9.9.9"], "status": ["--root", str(run_dir / "root")]}

    assert main([command, *words[command]]) != 0

    shown = capsys.readouterr()
    assert "no BTF of kernel 9.9.9 was found" in shown.out + shown.err
    assert "--base" not in shown.out + shown.err
