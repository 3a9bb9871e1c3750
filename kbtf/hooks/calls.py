# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Call the hooks of the built-in passes.

Where there are no other plugins, as in most runs, this does without pluggy, whose import takes a
tenth of a short run.  It knows only what these passes need, and calls them in pluggy's order.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbtf.hooks.plugin import Plugin


class Calls(Protocol):
    """The plugins of a manager, and how their hooks are called."""

    def add(self, plugin: Plugin) -> None:
        """Add a plugin, before the others in each hook; PluginError if it does not fit."""

    def implementations(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """The plugins that implement *hook*, by name, with their functions, as they are called."""

    def call(self, hook: str, arguments: dict[str, object]) -> Any:
        """Call *hook*; any error is that of a plugin."""


class BuiltInCalls:
    """Calls of the built-in passes, which return nothing and take all arguments of their hooks."""

    def __init__(self) -> None:
        self._plugins: list[Plugin] = []

    def add(self, plugin: Plugin) -> None:
        self._plugins.insert(0, plugin)

    def implementations(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        found = [
            (plugin.name, getattr(plugin.module, hook))
            for plugin in self._plugins
            if hasattr(plugin.module, hook)
        ]
        return sorted(found, key=_place)

    def call(self, hook: str, arguments: dict[str, object]) -> None:
        with ExitStack() as around:
            for _, function in self.implementations(hook):
                if _marks(function)["wrapper"]:
                    around.enter_context(contextmanager(function)(**arguments))
                else:
                    function(**arguments)


def _place(implementation: tuple[str, Any]) -> tuple[bool, int]:
    """Wrappers come first, around all others."""
    marks = _marks(implementation[1])
    return not marks["wrapper"], marks["trylast"] - marks["tryfirst"]


def _marks(function: Any) -> dict[str, Any]:
    marks: dict[str, Any] = function.kbtf_impl
    return marks
