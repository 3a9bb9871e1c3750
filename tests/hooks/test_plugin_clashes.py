# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Plugins that clash: two of one name, one option or one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.program import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from hooks.plugin_files import Files

pytest_plugins = ["hooks.plugin_files"]

MARK = "@hookimpl"


def test_two_plugins_of_one_name_are_a_clash(
    files: Files,
    plugin: Callable[..., str],
    install: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    install("one", "1.0", "twin")
    install("two", "2.0", "twin")

    assert main(["run", str(files.module)]) == 4
    assert "two plugins are called twin: one 1.0, two 2.0" in capsys.readouterr().err
    assert main(["run", "-p", "no:twin", str(files.module)]) == 0


def test_a_plugin_with_the_name_of_a_built_in_one_is_a_clash(
    files: Files, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install("mine", "1.0", "distill")

    assert main(["run", str(files.module)]) == 4
    assert "two plugins are called distill: mine 1.0, built-in" in capsys.readouterr().err


def test_two_files_of_one_name_are_a_clash_and_one_named_twice_is_not(
    files: Files, plugin: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = plugin("twin", MARK, "def kbtf_distill(module): module.note('once')")
    (files.module.parent / "sub").mkdir()
    second = plugin("sub/twin")

    assert main(["run", "-p", first, "-p", second, str(files.module)]) == 4
    assert "two plugins are called twin: ./twin.py, ./sub/twin.py" in capsys.readouterr().err
    assert main(["run", "-v", "-p", first, "-p", first, str(files.module)]) == 0
    assert capsys.readouterr().out.count("once") == 1


def test_two_plugins_that_add_one_option_are_a_clash(
    files: Files, plugin: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    adds = (MARK, "def kbtf_add_options(group): group.add('--same', default='x')")

    words = ["run", "-p", plugin("one", *adds), "-p", plugin("two", *adds), str(files.module)]
    assert main(words) == 4
    assert "plugin one (./one.py): there is already an option same" in capsys.readouterr().err


def test_a_command_that_kbtf_has_is_a_clash(
    files: Files, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install(
        "mine",
        "1.0",
        "mine",
        MARK,
        "def kbtf_add_commands(subparsers): subparsers.add_parser('run')",
    )

    assert main(["--help"]) == 4
    assert "plugin mine (mine 1.0): kbtf_add_commands raised" in capsys.readouterr().err
    assert main(["run", str(files.module)]) == 0
