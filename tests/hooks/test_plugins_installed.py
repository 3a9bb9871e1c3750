# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Plugins that are installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from hooks.passes import run, write
from kbtf.hooks.installed import installed_plugins
from kbtf.program import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def installed(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A plugin in an installed distribution, as pip leaves it."""
    info = run_dir / "kbtf_hello-1.2.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(
        "[console_scripts]\nx = y:z\n\n[kbtf.plugins]\nhello = kbtf_hello\n\n[other]\na = b\n"
    )
    write(run_dir / "kbtf_hello.py", "@hookimpl", "def kbtf_configure(config): print('hello')")
    monkeypatch.syspath_prepend(str(run_dir))
    monkeypatch.delitem(sys.modules, "kbtf_hello", raising=False)
    return "hello"


def test_an_installed_plugin_is_loaded_unless_autoload_is_off(
    installed: str,
    module: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = {point.name: point for point in installed_plugins()}[installed]
    assert (found.distribution, found.version) == ("kbtf_hello", "1.2")

    run(module)
    assert "hello" in capsys.readouterr().out
    run(module, "-p", "no:hello")
    assert "hello" not in capsys.readouterr().out
    monkeypatch.setenv("KBTF_DISABLE_PLUGIN_AUTOLOAD", "1")
    run(module)
    assert "hello" not in capsys.readouterr().out
    run(module, "-p", "hello")
    assert "hello" in capsys.readouterr().out


def test_an_installed_plugin_that_cannot_be_imported_says_how_to_leave_it_out(
    installed: str, module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "kbtf_hello.py").write_text("import absent_module_of_tests\n")

    assert run(module) == 4
    error = capsys.readouterr().err
    assert "plugin hello (kbtf_hello 1.2)" in error
    assert "-p no:hello" in error


def test_commands_of_a_plugin_are_run(
    installed: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        run_dir / "kbtf_hello.py",
        "@hookimpl",
        "def kbtf_add_commands(subparsers):",
        "    parser = subparsers.add_parser('greet', help='say hello')",
        "    parser.add_argument('who')",
        "    parser.set_defaults(run=lambda args: print('hello', args.who) or 0)",
    )

    assert main(["greet", "you"]) == 0
    assert capsys.readouterr().out == "hello you\n"
    assert main(["--help"]) == 0
    assert "say hello" in capsys.readouterr().out
