# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The plugin manager: registers plugins and calls their hooks.

make_manager() creates a manager for each run, never at import.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from kbtf.errors import KbtfError, PluginError, UsageError, in_words, os_error
from kbtf.hooks.calls import BuiltInCalls
from kbtf.hooks.installed import EntryPoint, installed_plugins
from kbtf.hooks.plugin import OUR_PLUGINS, Plugin
from kbtf.hooks.specs import HOOKS
from kbtf.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pluggy

    from kbtf.hooks.calls import Calls

_BUILT_IN_ORIGIN = "built-in"
BUILT_IN = (
    "encode",
    "base_fit",
    "kfunc_tags",
    "btf2btf",
    "distill",
    "sort_types",
    "resolve_btfids",
    "embed_sections",
    "verify",
    "sign",
)
# Without this pass, nothing would be written back although the run reported success.
ESSENTIAL = frozenset({"embed_sections"})
_ANSWERS = {
    "kbtf_find_base": ("kbtf", "Base"),
    "kbtf_executor": ("concurrent.futures", "Executor"),
}
"""The class that a hook must return, if anything; its module is imported when needed."""


class Manager:
    """The plugins of one run, in the order in which they were loaded."""

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self._calls: Calls = BuiltInCalls()

    def use_pluggy(self) -> pluggy.PluginManager:
        """pluggy's manager of these plugins, which calls their hooks from now on."""
        from kbtf.hooks.pluggy_calls import PluggyCalls

        if not isinstance(self._calls, PluggyCalls):
            calls = PluggyCalls()
            for plugin in self.plugins:
                calls.add(plugin)
            self._calls = calls
        return self._calls.pluggy

    def register(self, plugin: Plugin) -> None:
        """Add a plugin; PluginError names it if it does not fit."""
        for other in self.plugins:
            if other.name == plugin.name:
                raise PluginError(
                    f"two plugins are called {plugin.name}: {other.origin}, {plugin.origin}",
                    hint="uninstall or rename one",
                )
        if plugin.origin != _BUILT_IN_ORIGIN:
            from kbtf.hooks.loading import check_hooks

            check_hooks(plugin)
            self.use_pluggy()
        self._calls.add(plugin)
        self.plugins.append(plugin)

    def those_with(self, hook: str) -> Manager:
        """A manager of the plugins that implement *hook*."""
        chosen = Manager()
        for plugin in self.plugins:
            if hook in self.hooks_of(plugin):
                chosen.register(plugin)
        return chosen

    def call(self, hook: str, **arguments: object) -> Any:
        """Call a hook.

        An exception in a hook becomes an error that names the plugin, unless it is a KbtfError.
        So does a result of the wrong type.
        """
        try:
            answer = self._calls.call(hook, arguments)
        except PluginError as error:
            error.where = error.where or self._culprit(error)
            raise
        except (KbtfError, BrokenPipeError, MemoryError):
            raise
        except OSError as error:
            known = os_error(error)
            known.where = self._culprit(error, but_built_in=True)
            raise known from error
        except (Exception, SystemExit) as error:
            where = self._culprit(error) or "a plugin"
            raise PluginError(f"{hook} raised {in_words(error)}", where=where) from error
        if answer is not None and hook in _ANSWERS:
            self._check_answer(hook, answer)
        return answer

    def _check_answer(self, hook: str, answer: object) -> None:
        home, name = _ANSWERS[hook]
        if not isinstance(answer, getattr(importlib.import_module(home), name)):
            what = f"{hook} returned {type(answer).__name__}, not {home}.{name}"
            raise PluginError(what, where=self.those_asked(hook))

    def those_asked(self, hook: str) -> str:
        """The plugins, other than kbtf's own, that may be to blame for the result of a hook."""
        asked = self.order_of(hook)
        return " or ".join(
            str(plugin)
            for plugin in self.plugins
            if plugin.name in asked and plugin.origin != _BUILT_IN_ORIGIN
        )

    def _culprit(self, error: BaseException, *, but_built_in: bool = False) -> str | None:
        """The plugin whose hook is innermost in the traceback."""
        # By identity: equal code in two files is equal.
        hooks = {
            id(getattr(function, "__code__", None)): name
            for hook in HOOKS
            for name, function in self._calls.implementations(hook)
        }
        name = None
        traceback = error.__traceback__
        while traceback is not None:
            name = hooks.get(id(traceback.tb_frame.f_code), name)
            traceback = traceback.tb_next
        found = next((plugin for plugin in self.plugins if plugin.name == name), None)
        if found is None or (but_built_in and found.origin == _BUILT_IN_ORIGIN):
            return None
        return str(found)

    def hooks_of(self, plugin: Plugin) -> list[str]:
        """The hooks that a plugin implements, phases in the order in which they run."""
        return [hook for hook in HOOKS if plugin.name in self.order_of(hook)]

    def order_of(self, hook: str) -> list[str]:
        """The plugins that implement a hook, in the order in which they are called."""
        return [name for name, _ in self._calls.implementations(hook)]


def make_manager(wanted: Iterable[str] = (), *, autoload: bool | None = None) -> Manager:
    """A manager with the built-in plugins, the installed ones and those *wanted*.

    Each of *wanted* is the name of an installed plugin, ``no:NAME``, or the path of a Python file.
    Without *autoload*, only named installed plugins are loaded; with None,
    ``KBTF_DISABLE_PLUGIN_AUTOLOAD`` decides.
    """
    wanted = list(dict.fromkeys(wanted))
    excluded = {name.removeprefix("no:") for name in wanted if name.startswith("no:")}
    for name in sorted(excluded & ESSENTIAL):
        raise UsageError(f"plugin {name} is essential and cannot be disabled")
    named = [name for name in wanted if not name.startswith("no:")]
    if autoload is None:
        autoload = not os.environ.get("KBTF_DISABLE_PLUGIN_AUTOLOAD")
    manager = Manager()
    for plugin in _wanted_plugins(named, excluded, autoload):
        manager.register(plugin)
    # Last and in reverse, because pluggy calls the plugin that was registered last first.
    for name in reversed(BUILT_IN):
        if name not in excluded:
            module = importlib.import_module(f"{OUR_PLUGINS}.{name}")
            manager.register(Plugin(name, VERSION, _BUILT_IN_ORIGIN, module))
    return manager


def _wanted_plugins(named: list[str], excluded: set[str], autoload: bool) -> Iterator[Plugin]:
    points: list[EntryPoint] = []
    files = [name for name in named if _is_file(name)]
    names = [name for name in named if name not in files]
    if autoload or names or excluded:
        points = list(installed_plugins())
        require_known([*names, *excluded], [point.name for point in points])
    wanted = [
        point
        for point in points
        if (autoload or point.name in names) and point.name not in excluded
    ]
    if not wanted and not files:
        return
    from kbtf.hooks.loading import load_entry_point, load_file

    for point in wanted:
        yield load_entry_point(point)
    for path in files:
        yield load_file(path)


def require_known(names: Iterable[str], points: Iterable[str] | None = None) -> None:
    """UsageError for a name, with or without ``no:``, that is neither a plugin's nor a file's."""
    if points is None:
        points = [point.name for point in installed_plugins()]
    known = sorted([*points, *BUILT_IN])
    for name in (name.removeprefix("no:") for name in names):
        if name not in known and not _is_file(name):
            raise UsageError(f"unknown plugin {name}", hint=f"known are {', '.join(known)}")


def _is_file(name: str) -> bool:
    return name.endswith(".py") or "/" in name
