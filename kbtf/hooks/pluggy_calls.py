# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Call the hooks of any plugins, through pluggy."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pluggy

from kbtf.errors import PluginError
from kbtf.hooks import specs as hookspecs
from kbtf.hooks.markers import PROJECT
from kbtf.hooks.plugin import OUR_PLUGINS
from kbtf.hooks.specs import HOOKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbtf.hooks.plugin import Plugin

_KNOWS_WRAPPERS = "wrapper" in inspect.signature(pluggy.HookimplMarker.__call__).parameters


class PluginManager(pluggy.PluginManager):
    """Takes hooks of kbtf's own modules by name: pluggy inspects every name, for 10 ms a run."""

    def __init__(self) -> None:
        super().__init__(PROJECT)
        self.add_hookspecs(hookspecs)

    def register(self, plugin: object, name: str | None = None) -> str | None:
        if not _KNOWS_WRAPPERS:
            from kbtf.hooks.old_pluggy import adapted

            plugin = adapted(plugin)
        return super().register(plugin, name)

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
        return super().parse_hookspec_opts(module_or_class, name) if name in HOOKS else None

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        is_ours = getattr(plugin, "__name__", "").startswith(f"{OUR_PLUGINS}.")
        if is_ours and name not in HOOKS:
            return None
        return super().parse_hookimpl_opts(plugin, name)


class PluggyCalls:
    """Calls through pluggy: a `kbtf.hooks.calls.Calls`."""

    def __init__(self) -> None:
        self.pluggy = PluginManager()

    def add(self, plugin: Plugin) -> None:
        try:
            self.pluggy.register(plugin.module, name=plugin.name)
        except (pluggy.PluginValidationError, ValueError, TypeError) as error:
            raise PluginError(" ".join(str(error).split()), where=str(plugin)) from error

    def implementations(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        caller = getattr(self.pluggy.hook, hook)
        return [
            (impl.plugin_name, inspect.unwrap(impl.function))
            for impl in reversed(caller.get_hookimpls())
        ]

    def call(self, hook: str, arguments: dict[str, object]) -> Any:
        return getattr(self.pluggy.hook, hook)(**arguments)
