# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A plugin that does not fit is named in one line, and the module stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbtf.program import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from hooks.plugin_files import Files

pytest_plugins = ["hooks.plugin_files"]

MARK = "@hookimpl"
WRONG = {
    "misspelt hook": (
        [MARK, "def kbtf_destill(module): pass"],
        4,
        "has no hook kbtf_destill (did you mean kbtf_distill?)",
    ),
    "hook like no other": (
        [MARK, "def frobnicate(module): pass"],
        4,
        "has no hook frobnicate",
    ),
    "misspelt argument": (
        [MARK, "def kbtf_distill(modul): pass"],
        4,
        "kbtf_distill takes module, config, but not modul",
    ),
    "marker forgotten": (
        ["def kbtf_distill(module): pass"],
        4,
        "kbtf_distill is not marked @hookimpl",
    ),
    "wrapper without yield": (
        ["@hookimpl(wrapper=True)", "def kbtf_distill(module): pass"],
        4,
        "not a generator function",
    ),
    "syntax error": (["def"], 4, "cannot be loaded: SyntaxError"),
    "import of what is not there": (
        ["import kbtf_absent_module"],
        4,
        "cannot be loaded: ModuleNotFoundError",
    ),
    "file that is not there, at import": (
        ["open('absent.txt')"],
        4,
        "cannot be loaded: FileNotFoundError",
    ),
    "exit at import": (["raise SystemExit('bye')"], 4, "cannot be loaded: SystemExit: bye"),
    "option of kbtf": (
        [MARK, "def kbtf_add_options(group): group.add('--base')"],
        4,
        "there is already an option base",
    ),
    "option of a built-in pass": (
        [MARK, "def kbtf_add_options(group): group.add('--distill')"],
        4,
        "there is already an option distill",
    ),
    "flag that the command has itself": (
        [MARK, "def kbtf_add_options(group): group.add('--json', key='mine')"],
        4,
        "conflicting option string: --json",
    ),
    "flag of an option with another key": (
        [MARK, "def kbtf_add_options(group): group.add('-C', '--mine')"],
        4,
        "conflicting option string: -C",
    ),
    "option without a name": (
        [MARK, "def kbtf_add_options(group): group.add('-x')"],
        4,
        "an option needs a long flag or a key",
    ),
    "option that argparse does not understand": (
        [MARK, "def kbtf_add_options(group): group.add('--mine', colour='red')"],
        4,
        "kbtf_add_options raised TypeError",
    ),
    "exception": (
        [MARK, "def kbtf_embed_sections(module): raise ValueError('oh')"],
        4,
        "kbtf_embed_sections raised ValueError: oh",
    ),
    "exception of several lines": (
        [MARK, "def kbtf_embed_sections(module): raise ValueError('oh\\nno')"],
        4,
        "ValueError: oh\\nno",
    ),
    "exit": (
        [MARK, "def kbtf_embed_sections(module): raise SystemExit(0)"],
        4,
        "kbtf_embed_sections raised SystemExit",
    ),
    "exception in the second half of a wrapper": (
        [
            "@hookimpl(wrapper=True)",
            "def kbtf_embed_sections(module):",
            "    yield",
            "    raise KeyError('late')",
        ],
        4,
        "kbtf_embed_sections raised KeyError: 'late'",
    ),
    "exception while the file is finished": (
        [MARK, "def kbtf_finish(output): raise ValueError('oh')"],
        4,
        "kbtf_finish raised ValueError: oh",
    ),
    "no file": (
        [MARK, "def kbtf_finish(output): output.data = b''"],
        4,
        "kbtf_finish left output that cannot be read: is empty",
    ),
    "half a file": (
        [MARK, "def kbtf_finish(output): output.data = output.data[:400]"],
        4,
        "kbtf_finish left output that cannot be read: ",
    ),
    "damaged BTF": (
        [
            MARK,
            "def kbtf_finish(output):",
            "    output.data = output.data.replace(bytes([0x9f, 0xeb]), b'no')",
        ],
        4,
        "kbtf_finish left output that cannot be read: .BTF",
    ),
    "a packed file that is none": (
        [
            "import gzip",
            MARK,
            "def kbtf_finish(output): output.data = gzip.compress(b'nothing')",
        ],
        4,
        "kbtf_finish left output that cannot be read: is not an ELF file",
    ),
    "exception in the search for a base": (
        [MARK, "def kbtf_find_base(module): raise ValueError('oh')"],
        4,
        "kbtf_find_base raised ValueError: oh",
    ),
    "a base that is none": (
        [MARK, "def kbtf_find_base(module): return 'vmlinux'"],
        4,
        "kbtf_find_base returned str, not kbtf.Base",
    ),
    "exception before the first module": (
        [MARK, "def kbtf_configure(config): raise ValueError('oh')"],
        4,
        "kbtf_configure raised ValueError: oh",
    ),
    "option that nobody declared": (
        [MARK, "def kbtf_distill(config): config['absent']"],
        4,
        "kbtf_distill raised KeyError: 'absent'",
    ),
    "file that is not there": (
        [MARK, "def kbtf_distill(module): open('absent.txt')"],
        3,
        "no such file or directory",
    ),
    "full disk": (
        ["import os", MARK, "def kbtf_distill(module): os.write(os.open('/dev/full', 1), b'x')"],
        4,
        "no space left on device",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_plugin_that_does_not_fit_is_named_and_the_module_untouched(
    case: str,
    files: Files,
    plugin: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines, code, words = WRONG[case]
    before = files.module.read_bytes()

    assert main(["run", "-p", plugin("broken", *lines), str(files.module)]) == code

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("kbtf: error: ")
    assert words in line
    assert "plugin broken (./broken.py): " in line
    assert files.module.read_bytes() == before
    assert [path.name for path in files.module.parent.glob(".*")] == []


ELSEWHERE = {
    "options": ["def kbtf_add_options(group): raise KeyError('x')", "raised KeyError: 'x'"],
    "configuration": ["def kbtf_configure(config): raise KeyError('x')", "raised KeyError: 'x'"],
    "an option of kbtf": [
        "def kbtf_add_options(group): group.add('--jobs')",
        "there is already an option",
    ],
    "executor": ["def kbtf_executor(config): raise KeyError('x')", "raised KeyError: 'x'"],
    "no executor": ["def kbtf_executor(config): return 5", "returned int, not concurrent.futures"],
}


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("case", ELSEWHERE)
def test_a_plugin_with_an_executor_that_fails_is_named(
    case: str,
    command: str,
    files: Files,
    plugin: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    body, words = ELSEWHERE[case]
    executor = [] if "kbtf_executor" in body else [MARK, "def kbtf_executor(config): return None"]

    assert main([command, "-p", plugin("broken", MARK, body, *executor), str(files.module)]) == 4

    (line,) = capsys.readouterr().err.splitlines()
    assert "plugin broken (./broken.py): " in line
    assert words in line


def test_a_wrapper_that_does_not_yield_is_named_by_its_file(
    files: Files, plugin: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """pluggy notices that when the wrapper has returned."""
    lines = ("@hookimpl(wrapper=True)", "def kbtf_distill(module):", "    if not module: yield")
    before = files.module.read_bytes()

    assert main(["run", "-p", plugin("broken", *lines), str(files.module)]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "kbtf_distill raised RuntimeError" in line
    assert "./broken.py:2 did not yield" in line
    assert files.module.read_bytes() == before


def test_a_helper_far_from_the_hook_is_the_plugins_fault_too(
    files: Files, plugin: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = plugin("broken", "import json", MARK, "def kbtf_distill(module): json.loads('{')")

    assert main(["run", "-p", broken, str(files.module)]) == 4
    assert (
        "tiny.ko: plugin broken (./broken.py): kbtf_distill raised JSONDecodeError"
        in capsys.readouterr().err
    )


def test_of_two_plugins_the_one_that_raised_is_named(
    files: Files, plugin: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    outer = plugin("outer", MARK, "def kbtf_after_link(module): module.base")
    inner = plugin("inner", MARK, "def kbtf_find_base(module): raise ValueError('oh')")

    assert main(["run", "-p", outer, "-p", inner, str(files.module)]) == 4
    error = capsys.readouterr().err
    assert "plugin inner (./inner.py): kbtf_find_base raised ValueError: oh" in error
    assert "outer" not in error


def test_one_module_that_fails_leaves_the_others_to_be_done(
    files: Files, plugin: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = files.module.with_name("other.ko")
    other.write_bytes(files.module.read_bytes())
    picky = plugin(
        "picky",
        MARK,
        "def kbtf_distill(module):",
        "    if module.path.endswith('other.ko'): raise ValueError('oh')",
    )

    assert main(["run", "-p", picky, str(other), str(files.module)]) == 4
    assert other.read_bytes() != files.module.read_bytes()
    assert "other.ko: plugin picky" in capsys.readouterr().err


def test_debug_shows_where_a_plugin_raised(
    files: Files, plugin: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = plugin("broken", MARK, "def kbtf_distill(module): raise ValueError('oh')")

    assert main(["run", "--debug", "-p", broken, str(files.module)]) == 4
    assert 'File "./broken.py", line 3, in kbtf_distill' in capsys.readouterr().err


def test_an_installed_plugin_that_cannot_be_loaded_says_how_to_go_on_without(
    files: Files,
    install: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install("mine", "1.0", "mine", "import kbtf_absent_module")

    assert main(["run", str(files.module)]) == 4
    error = capsys.readouterr().err
    assert "plugin mine (mine 1.0): cannot be loaded: ModuleNotFoundError" in error
    assert "-p no:mine" in error
    assert "KBTF_DISABLE_PLUGIN_AUTOLOAD=1" in error
    assert main(["run", "-p", "no:mine", str(files.module)]) == 0
    assert main(["--help"]) == 4
    monkeypatch.setenv("KBTF_DISABLE_PLUGIN_AUTOLOAD", "1")
    assert main(["--help"]) == 0


def test_an_entry_point_that_is_not_there_is_named(
    files: Files, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install("mine", "1.0", "mine", target=":absent.part")

    assert main(["run", str(files.module)]) == 4
    assert "plugin mine (mine 1.0): cannot be loaded: AttributeError" in capsys.readouterr().err


@pytest.mark.parametrize("wanted", ["kbtf>=99", "kbtf (>=99)", "kbtf[lz4]<0.1", "KBTF ~= 99.1"])
def test_a_plugin_for_another_kbtf_is_told_apart_before_its_code_runs(
    wanted: str, files: Files, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install("mine", "1.0", "mine", "import kbtf_absent_module", requires=(wanted, "pluggy"))
    before = files.module.read_bytes()

    assert main(["run", str(files.module)]) == 4
    error = capsys.readouterr().err
    assert "plugin mine (mine 1.0): needs kbtf " in error
    assert "99" in error or "<0.1" in error
    assert "-p no:mine" in error
    assert files.module.read_bytes() == before


@pytest.mark.parametrize(
    "wanted", ["kbtf", "kbtf>=0.1", "kbtf >=0.1,<99", "kbtf-other>=99", "kbtf>=99; extra == 'new'"]
)
def test_a_plugin_for_this_kbtf_is_loaded_whatever_its_description_says(
    wanted: str, files: Files, install: Callable[..., None]
) -> None:
    install("mine", "1.0", "mine", requires=(wanted,))

    assert main(["run", "-p", "mine", str(files.module)]) == 0


def test_a_hook_of_a_later_kbtf_may_be_optional(files: Files, plugin: Callable[..., str]) -> None:
    later = plugin("later", "@hookimpl(optionalhook=True)", "def kbtf_later(module): pass")

    assert main(["run", "-p", later, str(files.module)]) == 0
