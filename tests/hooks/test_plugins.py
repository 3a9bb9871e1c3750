# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Plugins: found, ordered, left out, and clear words where one is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from hooks.passes import run, write
from kbtf import Module, errors
from kbtf.hooks.manager import BUILT_IN, make_manager
from kbtf.program import main


def test_a_pass_in_one_file_adds_a_section_of_its_own(module: Path, run_dir: Path) -> None:
    write(
        run_dir / "mark.py",
        "@hookimpl",
        "def kbtf_embed_sections(module, config):",
        "    module.set_section('.mark', module.name.encode())",
    )

    assert run(module, "-p", "./mark.py") == 0
    assert Module.open(str(module)).image.data(".mark") == b"tiny"


def test_built_in_passes_run_before_others_in_the_same_phase(module: Path, run_dir: Path) -> None:
    write(
        run_dir / "look.py",
        "@hookimpl",
        "def kbtf_distill(module, config):",
        "    module.warn('distilled' if module.has_btf_base else 'plain')",
    )
    write(
        run_dir / "first.py",
        "@hookimpl(tryfirst=True)",
        "def kbtf_distill(module, config):",
        "    module.warn('distilled' if module.has_btf_base else 'plain')",
    )
    manager = make_manager(["./look.py", "./first.py"])
    assert manager.order_of("kbtf_distill") == ["first", "distill", "sort_types", "look"]


def test_hooks_in_the_order_of_loading_are_called_last_loaded_first(run_dir: Path) -> None:
    for name in ("one", "two"):
        write(run_dir / f"{name}.py", "@hookimpl", "def kbtf_finish(output, config): pass")

    order = make_manager(["./one.py", "./two.py"]).order_of("kbtf_finish")
    assert order == ["two", "one", "sign"]


def test_finish_may_replace_the_whole_file(module: Path, run_dir: Path) -> None:
    write(
        run_dir / "seal.py",
        "@hookimpl",
        "def kbtf_finish(output, config):",
        "    output.data += b'signature'",
    )

    assert run(module, "-p", "./seal.py") == 0
    assert module.read_bytes().endswith(b"signature")


def test_find_base_of_a_plugin_comes_before_the_search(
    module: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        run_dir / "find.py",
        "from kbtf import open_base",
        "@hookimpl",
        "def kbtf_find_base(module, config):",
        "    return open_base('vmlinux.btf')",
    )

    assert main(["run", "-p", "./find.py", str(module)]) == 0
    assert Module.open(str(module)).has_btf_base


def test_options_of_a_plugin_come_from_the_command_line_and_from_tables(
    module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        run_dir / "opt.py",
        "@hookimpl",
        "def kbtf_add_options(group):",
        "    group.add('--word', key='talk.word', default='none')",
        "@hookimpl",
        "def kbtf_configure(config):",
        "    print('word is', config['talk.word'])",
    )

    run(module, "-p", "./opt.py")
    (run_dir / "talk.toml").write_text("[talk]\nword = 'table'\n")
    run(module, "-p", "./opt.py", "--config", "talk.toml")
    run(module, "-p", "./opt.py", "--config", "talk.toml", "--word", "line")

    words = [w for w in capsys.readouterr().out.splitlines() if w.startswith("word is")]
    assert words == ["word is none", "word is table", "word is line"]


@pytest.mark.parametrize("value", ["true", "1.0", "'1'", "[1]"])
def test_a_number_of_a_plugin_is_a_number(
    value: str, module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        run_dir / "opt.py",
        "@hookimpl",
        "def kbtf_add_options(group):",
        "    group.add('--level', type=int)",
    )
    (run_dir / "my.toml").write_text(f"level = {value}\n")

    assert run(module, "-p", "./opt.py", "--config", "my.toml") == 2
    assert "is not of type int" in capsys.readouterr().err
    (run_dir / "my.toml").write_text("level = 1\n")
    assert run(module, "-p", "./opt.py", "--config", "my.toml") == 0


BROKEN = {
    "misspelt hook": (["@hookimpl", "def kbtf_distil(module): pass"], "kbtf_distil"),
    "hook without marker": (["def kbtf_distill(module): pass"], "not marked @hookimpl"),
    "unknown argument": (["@hookimpl", "def kbtf_distill(modul): pass"], "modul"),
    "error at import": (["1 / 0"], "ZeroDivisionError"),
    "error in a hook": (
        ["@hookimpl", "def kbtf_embed_sections(module): raise ValueError('oh')"],
        "kbtf_embed_sections raised ValueError: oh",
    ),
    "two plugins add one option": (
        ["@hookimpl", "def kbtf_add_options(group): group.add('--distill')"],
        "option distill",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_named_and_the_module_untouched(
    case: str, module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, words = BROKEN[case]
    write(run_dir / "broken.py", *lines)
    before = module.read_bytes()

    assert run(module, "-p", "./broken.py") in (2, 4)

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("kbtf: error: ")
    assert words in line
    assert "broken" in line or "two plugins" in line
    assert module.read_bytes() == before


def test_a_kbtf_error_of_a_plugin_is_reported_as_it_is(
    module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        run_dir / "policy.py",
        "@hookimpl",
        "def kbtf_embed_sections(module, config): raise KbtfError('over budget')",
    )

    assert run(module, "-p", "./policy.py") == 3
    assert capsys.readouterr().err == f"kbtf: error: {module}: over budget\n"


def test_a_pass_that_ruins_the_btf_is_an_error_and_no_file(
    module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        run_dir / "ruin.py",
        "@hookimpl(trylast=True)",
        "def kbtf_embed_sections(module, config): module.set_section('.BTF', b'ruined')",
    )
    before = module.read_bytes()

    assert run(module, "-p", "./ruin.py") == 3
    assert ".BTF" in capsys.readouterr().err
    assert module.read_bytes() == before


def test_essential_plugins_stay_and_others_may_be_left_out(
    module: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(module, "-p", "no:embed_sections") == 2
    assert "essential" in capsys.readouterr().err
    assert run(module, "-p", "no:absent") == 2
    assert run(module, "-p", "no:distill") == 0
    assert not Module.open(str(module)).has_btf_base


def test_a_joined_option_is_named_although_it_takes_the_module(
    module: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-vp", str(module)]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert "-p cannot be joined" in line


@pytest.mark.parametrize("words", ["-qp ./mark.py", "-vpno:sign", "-q -p=mark", "-p", "--config"])
def test_a_plugin_is_loaded_or_refused_but_never_ignored(
    words: str, module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(run_dir / "mark.py", "@hookimpl", "def kbtf_embed_sections(module): pass")
    before = module.read_bytes()

    with suppress(SystemExit):
        assert (
            main(["run", "--base", str(run_dir / "vmlinux.btf"), str(module), *words.split()]) == 2
        )

    (line,) = capsys.readouterr().err.splitlines()
    assert "plugin" in line or "argument" in line or "-q -p PLUGIN" in line
    assert module.read_bytes() == before


def test_a_file_may_look_itself_up(module: Path, run_dir: Path) -> None:
    """As dataclasses do for annotations that are text."""
    text = """\
from __future__ import annotations
import typing
from dataclasses import dataclass
from kbtf import hookimpl

@dataclass
class Mark:
    name: typing.ClassVar[str] = ".mark"
    data: bytes = b"!"

@hookimpl
def kbtf_embed_sections(module):
    module.set_section(Mark.name, Mark().data)
"""
    (run_dir / "mark.py").write_text(text)

    assert run(module, "-p", "./mark.py") == 0
    assert Module.open(str(module)).image.data(".mark") == b"!"


def test_a_file_that_cannot_be_loaded_leaves_no_module(run_dir: Path) -> None:
    (run_dir / "broken.py").write_text("raise ValueError\n")

    with pytest.raises(errors.PluginError):
        make_manager(["./broken.py"])

    assert "kbtf_plugin_broken" not in sys.modules


def test_plugins_are_listed_in_the_order_in_which_they_run(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(run_dir / "mark.py", "@hookimpl", "def kbtf_embed_sections(module): pass")

    assert main(["plugins", "-p", "./mark.py", "--json"]) == 0

    listed = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in listed["plugins"]] == [*BUILT_IN, "mark"]
    assert listed["plugins"][-1]["origin"] == "./mark.py"
    assert listed["order"]["kbtf_embed_sections"] == ["verify", "embed_sections", "mark"]


def test_built_in_passes_import_only_public_names(root: Path) -> None:
    for name in BUILT_IN:
        text = (root / "plugins" / f"{name}.py").read_text()
        imports = [line.split()[1] for line in text.splitlines() if " import " in line]
        assert all(i == "kbtf" for i in imports if i.startswith("kbtf")), name


def test_all_errors_have_a_documented_exit_code() -> None:
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.KbtfError):
            assert error.exit_code in (1, 2, 3, 4)
            assert error.__doc__


def test_plugins_of_the_modules_own_directory_are_not_loaded(module: Path) -> None:
    folder = module.parent / "sub"
    folder.mkdir()
    moved = module.rename(folder / module.name)
    (folder / "kbtf.toml").write_text("nonsense = 1\n")

    command = [
        str(Path(sys.executable).parent / "kbtf"),
        "run",
        "--base",
        "vmlinux.btf",
        str(moved),
    ]
    env = {**os.environ, "KBTF_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert subprocess.run(command, env=env, check=False).returncode == 0
