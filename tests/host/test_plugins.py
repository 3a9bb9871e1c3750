"""Plugins: found, ordered, left out, and clear words where one is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kbtf import BtfBuilder, Module, errors
from kbtf.cli import main
from kbtf.host import hookspecs
from kbtf.host.installed import installed_plugins
from kbtf.host.manager import BUILT_IN, make_manager
from kbtf.testing import make_base, make_module


@pytest.fixture
def module(run_dir: Path) -> Path:
    base = make_base()
    (run_dir / "vmlinux.btf").write_bytes(base.to_bytes())
    split = BtfBuilder(base.build())
    split.add_func("fn", split.add_func_proto(1))
    path = run_dir / "tiny.ko"
    path.write_bytes(make_module(btf=split.to_bytes()))
    return path


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["from kbtf import KbtfError, hookimpl", *lines, ""]))
    return path


def run(module: Path, *args: object) -> int:
    return main(["run", "--base", "vmlinux.btf", *map(str, args), str(module)])


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
    assert manager.order_of("kbtf_distill") == ["first", "distill", "look"]


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
    (run_dir / "kbtf.toml").write_text("[talk]\nword = 'table'\n")
    run(module, "-p", "./opt.py")
    run(module, "-p", "./opt.py", "--word", "line")

    words = [w for w in capsys.readouterr().out.splitlines() if w.startswith("word is")]
    assert words == ["word is none", "word is table", "word is line"]


def test_pyproject_is_read_where_there_is_no_kbtf_toml(module: Path, run_dir: Path) -> None:
    (run_dir / "pyproject.toml").write_text("[tool.kbtf]\ndistill = 'never'\n")

    assert run(module) == 0
    assert not Module.open(str(module)).has_btf_base


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("nonsense = 1", "unknown key 'nonsense'"),
        ("distill = 'sometimes'", "not one of auto, always, never"),
        ("dry-run = 'yes'", "not of type bool"),
        ("base = 3", "not of type str"),
        ("plugins = 'x'", "not a list of names"),
        ("plugins = ['./x.py']", "cannot name other files"),
        ("plugins = ['absent']", "unknown plugin absent"),
        ("not toml", "not TOML"),
    ],
)
def test_a_wrong_configuration_is_a_usage_error_that_names_it(
    toml: str, words: str, module: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "kbtf.toml").write_text(toml)

    assert run(module) == 2
    assert words in capsys.readouterr().err


def test_a_configuration_that_the_user_names_may_name_files(module: Path, run_dir: Path) -> None:
    write(
        run_dir / "mark.py",
        "@hookimpl",
        "def kbtf_embed_sections(module, config):",
        "    module.set_section('.mark', b'!')",
    )
    (run_dir / "ci.toml").write_text("plugins = ['./mark.py']\n")

    assert run(module, "--config", "ci.toml") == 0
    assert Module.open(str(module)).image.data(".mark") == b"!"


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


def test_plugins_are_listed_in_the_order_in_which_they_run(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(run_dir / "mark.py", "@hookimpl", "def kbtf_embed_sections(module): pass")

    assert main(["plugins", "-p", "./mark.py", "--json"]) == 0

    listed = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in listed["plugins"]] == [*BUILT_IN, "mark"]
    assert listed["plugins"][-1]["origin"] == "./mark.py"
    assert listed["order"]["kbtf_embed_sections"] == ["verify", "embed_sections", "mark"]


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


def test_built_in_passes_import_only_public_names(root: Path) -> None:
    for name in BUILT_IN:
        text = (root / "plugins" / f"{name}.py").read_text()
        imports = [line.split()[1] for line in text.splitlines() if " import " in line]
        assert all(i == "kbtf" for i in imports if i.startswith("kbtf")), name


def test_every_hook_has_a_documented_signature() -> None:
    for name, hook in vars(hookspecs).items():
        if name.startswith("kbtf_"):
            assert "Since " in hook.__doc__


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
