# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The order of passes, as pluggy's marks say it, and what of it a run and its trace show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kbtf import Module
from kbtf.program import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from hooks.plugin_files import Files

pytest_plugins = ["hooks.plugin_files"]

PASSES = {
    "plain": ("@hookimpl", "def kbtf_distill(module, config): module.warn('plain')"),
    "late": ("@hookimpl(trylast=True)", "def kbtf_distill(module): module.warn('late')"),
    "early": ("@hookimpl(tryfirst=True)", "def kbtf_distill(module): module.warn('early')"),
    "around": (
        "@hookimpl(wrapper=True)",
        "def kbtf_distill(module):",
        "    module.warn('around opens')",
        "    result = yield",
        "    module.warn('around closes')",
        "    return result",
    ),
}
# pluggy: wrappers first, then tryfirst, the built-in passes (loaded last), the others, trylast.
ORDER = ["around", "early", "distill", "sort_types", "plain", "late"]


@pytest.fixture
def passes(plugin: Callable[..., str]) -> list[str]:
    """Options for all of them, in an order that is not the one in which they run."""
    return [word for name in PASSES for word in ("-p", plugin(name, *PASSES[name]))]


def test_passes_run_in_the_order_that_their_marks_ask_for(
    files: Files, passes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *passes, str(files.module)]) == 0

    said = [line.rpartition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == ["around opens", "early", "plain", "late", "around closes"]


def test_the_list_shows_the_order_in_which_they_run(
    files: Files, passes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "--json", *passes]) == 0

    assert json.loads(capsys.readouterr().out)["order"]["kbtf_distill"] == ORDER


def test_the_trace_shows_what_was_called_and_what_it_changed(
    files: Files, passes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = files.module.read_bytes()

    assert main(["plugins", "--json", *passes, "--trace", str(files.module)]) == 0

    traced = json.loads(capsys.readouterr().out)
    steps = [step for step in traced["steps"] if step["hook"] == "kbtf_distill"]
    assert [(step["plugin"], step["part"]) for step in steps] == [
        ("around", "before"),
        ("early", None),
        ("distill", None),
        ("sort_types", None),
        ("plain", None),
        ("late", None),
        ("around", "after"),
    ]
    changed = {step["plugin"]: step["changed"] for step in steps if step["changed"]}
    assert changed == {"distill": [".BTF", "+.BTF.base"]}
    assert traced["modules"] == [{"module": str(files.module), "status": "done", "reason": None}]
    assert files.module.read_bytes() == before


def test_the_trace_is_of_what_a_run_does(
    files: Files, plugin: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each hook that a run calls is there once, in order, and the file would be the same."""
    hooks = ("after_link", "distill", "resolve_btfids", "embed_sections", "finish")
    lines = ["calls = []"]
    for hook in hooks:
        argument = "output" if hook == "finish" else "module"
        lines += ["@hookimpl", f"def kbtf_{hook}({argument}):"]
        lines += [f"    calls.append({hook!r})"]
        if hook == "embed_sections":
            lines += ["    module.set_section('.mark', b'!')"]
        if hook == "finish":
            lines += ["    print(calls)", "    output.data += b'end'"]
    name = plugin("all", *lines)

    assert main(["plugins", "-p", name, "--trace", str(files.module)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == str(list(hooks))
    rows = [line.split() for line in out[2:]]
    ours = [(row[1], row[4:]) for row in rows if row[2] == "all"]
    assert ours == [
        ("kbtf_after_link", ["-"]),
        ("kbtf_distill", ["-"]),
        ("kbtf_resolve_btfids", ["-"]),
        ("kbtf_embed_sections", ["+.mark"]),
        ("kbtf_finish", ["file"]),
    ]
    assert not Module.open(str(files.module)).image.section(".mark")


def test_time_spent_in_a_hook_that_a_hook_called_counts_once(
    files: Files, plugin: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    slow = plugin(
        "slow",
        "import time",
        "from kbtf import open_base",
        "@hookimpl",
        "def kbtf_find_base(module):",
        "    time.sleep(0.2)",
        f"    return open_base({str(files.base)!r})",
    )

    assert main(["plugins", "--json", "-p", slow, "--trace", str(files.module)]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    taken = {(step["hook"], step["plugin"]): step["ms"] for step in steps}
    assert taken["kbtf_find_base", "slow"] >= 200
    assert sum(taken.values()) - taken["kbtf_find_base", "slow"] < 150
    assert ("kbtf_find_base", "kbtf") not in taken  # the first result counts


def test_the_trace_goes_as_far_as_the_plugin_that_raised(
    files: Files, plugin: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    around = plugin("around", *PASSES["around"])
    broken = plugin("broken", "@hookimpl", "def kbtf_distill(module): raise ValueError('oh')")

    assert main(["plugins", "-p", around, "-p", broken, "--trace", str(files.module)]) == 4

    captured = capsys.readouterr()
    assert captured.err.endswith(
        "tiny.ko: plugin broken (./broken.py): kbtf_distill raised ValueError: oh\n"
    )
    (row,) = [line for line in captured.out.splitlines() if " broken " in line]
    assert row.endswith("ValueError: oh")
    assert "kbtf_resolve_btfids" not in captured.out


def test_a_wrapper_may_swallow_an_exception_in_a_trace_as_in_a_run(
    files: Files, plugin: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    shield = plugin(
        "shield",
        "@hookimpl(wrapper=True)",
        "def kbtf_distill(module):",
        "    try: return (yield)",
        "    except ValueError: return []",
    )
    broken = plugin("broken", "@hookimpl", "def kbtf_distill(module): raise ValueError('oh')")
    words = ["-p", shield, "-p", broken]

    assert main(["plugins", *words, "--trace", str(files.module)]) == 0
    assert main(["run", *words, str(files.module)]) == 0


def test_a_trace_of_several_modules_goes_on_after_one_that_fails(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "--trace", "absent.ko", str(files.module), "--json"]) == 3

    modules = json.loads(capsys.readouterr().out)["modules"]
    assert [module["status"] for module in modules] == ["failed", "done"]


def test_a_trace_without_a_module_says_what_to_give(
    run_dir: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "--trace"]) == 2
    assert "--trace needs a module" in capsys.readouterr().err


def test_a_plugin_may_be_an_object(
    files: Files, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        "class Plugin:",
        "    @hookimpl",
        "    def kbtf_distill(self, module, config): module.warn('of an object')",
        "plugin = Plugin()",
    ]
    install("mine", "1.0", "mine", *lines, target=":plugin")

    assert main(["run", str(files.module)]) == 0
    assert "of an object" in capsys.readouterr().err
    assert main(["plugins", "--trace", str(files.module)]) == 0
    assert " mine " in capsys.readouterr().out


def test_an_object_is_checked_as_a_module_is(
    files: Files, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["class Plugin:", "    @hookimpl", "    def kbtf_distil(self, module): pass"]
    install("mine", "1.0", "mine", *lines, "plugin = Plugin()", target=":plugin")

    assert main(["run", str(files.module)]) == 4
    assert "has no hook kbtf_distil" in capsys.readouterr().err
