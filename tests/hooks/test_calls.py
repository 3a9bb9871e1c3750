# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Without other plugins, the built-in passes are called as pluggy would call them."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

import kbtf.plugins.distill
from kbtf import hookimpl
from kbtf.errors import PluginError
from kbtf.hooks.manager import make_manager
from kbtf.hooks.plugin import Plugin
from kbtf.hooks.specs import HOOKS
from kbtf.program import main

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from hooks.plugin_files import Files

pytest_plugins = ["hooks.plugin_files"]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_order_is_that_of_pluggy(hook: str) -> None:
    manager = make_manager(autoload=False)
    order = manager.order_of(hook)
    hooks = [manager.hooks_of(plugin) for plugin in manager.plugins]

    manager.use_pluggy()

    assert manager.order_of(hook) == order
    assert [manager.hooks_of(plugin) for plugin in manager.plugins] == hooks


def test_the_output_is_that_with_a_plugin(files: Files, plugin: Callable[..., str]) -> None:
    idle = plugin("idle", "@hookimpl", "def kbtf_distill(module): pass")

    assert main(["run", "-o", "alone.ko", str(files.module)]) == 0
    assert main(["run", "-p", idle, "-o", "with.ko", str(files.module)]) == 0

    folder = files.module.parent
    assert (folder / "alone.ko").read_bytes() == (folder / "with.ko").read_bytes()


def test_a_built_in_pass_that_fails_is_named(
    files: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @hookimpl
    def fails(module: object, config: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(kbtf.plugins.distill, "kbtf_distill", fails)

    assert main(["run", str(files.module)]) == 4
    assert (
        "plugin distill (built-in): kbtf_distill raised ZeroDivisionError: by zero"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("by_pluggy", [False, True])
def test_a_wrapper_is_around_what_fails(by_pluggy: bool) -> None:
    called = []

    @hookimpl(wrapper=True)
    def around(config: object) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            called.append("around")

    @hookimpl
    def inside(config: object) -> None:
        called.append("inside")
        raise ZeroDivisionError

    manager = make_manager(autoload=False)
    for name, hook in (("outer", around), ("inner", inside)):
        module = ModuleType(name)
        vars(module)["kbtf_configure"] = hook
        manager.register(Plugin(name, "1", "built-in", module))
    if by_pluggy:
        manager.use_pluggy()

    with pytest.raises(PluginError, match=r"plugin inner \(built-in\).*ZeroDivisionError"):
        manager.call("kbtf_configure", config={"encoder": "kbtf", "hash": None, "sign": None})
    assert called == ["inside", "around"]
