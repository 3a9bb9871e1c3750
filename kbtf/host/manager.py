"""The plugin manager: which plugins there are, and calling their hooks.

A manager is made for each run, by make_manager(), never at import.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

import pluggy

from kbtf.btf import _native
from kbtf.errors import KbtfError, PluginError, UsageError, os_error
from kbtf.host import hookspecs
from kbtf.host.installed import EntryPoint, installed_plugins
from kbtf.host.markers import PROJECT
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BUILT_IN_ORIGIN = "built-in"
BUILT_IN = (
    "pahole",
    "kfunc_tags",
    "distill",
    "resolve_btfids",
    "embed_sections",
    "verify",
    "sign",
)
# Without it nothing is written back, and a run would claim what it did not do.
ESSENTIAL = frozenset({"embed_sections"})
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("kbtf_"))
"""In the order in which they are called."""


class Plugin(NamedTuple):
    """A plugin that was loaded."""

    name: str
    version: str
    origin: str
    """``built-in``, the distribution that it came with, or its file."""
    module: Any

    def __str__(self) -> str:
        return f"plugin {self.name} ({self.origin})"


class Manager:
    """The plugins of one run, in the order in which they were loaded."""

    def __init__(self) -> None:
        self.pluggy = pluggy.PluginManager(PROJECT)
        self.pluggy.add_hookspecs(hookspecs)
        self.plugins: list[Plugin] = []

    def register(self, plugin: Plugin) -> None:
        """Add a plugin; PluginError names it if it does not fit."""
        for other in self.plugins:
            if other.name == plugin.name:
                raise PluginError(
                    f"two plugins are called {plugin.name}: {other.origin}, {plugin.origin}",
                    hint="uninstall or rename one",
                )
        if plugin.origin != _BUILT_IN_ORIGIN:
            from kbtf.host.loading import check_hooks

            check_hooks(plugin)
        try:
            self.pluggy.register(plugin.module, name=plugin.name)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(" ".join(str(error).split()), where=str(plugin)) from error
        self.plugins.append(plugin)

    def call(self, hook: str, **arguments: object) -> Any:
        """Call a hook; what is raised there names the plugin, unless it is a KbtfError."""
        try:
            return getattr(self.pluggy.hook, hook)(**arguments)
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

    def _culprit(self, error: BaseException, *, but_built_in: bool = False) -> str | None:
        """The plugin whose hook is innermost in the traceback."""
        # By identity: equal code in two files is equal.
        hooks = {}
        for hook in HOOKS:
            for impl in getattr(self.pluggy.hook, hook).get_hookimpls():
                function = getattr(impl.function, "__wrapped__", impl.function)
                hooks[id(getattr(function, "__code__", None))] = impl.plugin_name
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
        callers = self.pluggy.get_hookcallers(self.pluggy.get_plugin(plugin.name)) or []
        return sorted((caller.name for caller in callers), key=HOOKS.index)

    def order_of(self, hook: str) -> list[str]:
        """The plugins that implement a hook, in the order in which they are called."""
        caller = getattr(self.pluggy.hook, hook)
        return [impl.plugin_name for impl in reversed(caller.get_hookimpls())]


def in_words(error: BaseException) -> str:
    """The kind of an error and what it says."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def make_manager(wanted: Iterable[str] = ()) -> Manager:
    """A manager with the built-in plugins, the installed ones and those *wanted*.

    Each of *wanted* is the name of an installed plugin, ``no:NAME``, or the path of a Python file.
    ``KBTF_DISABLE_PLUGIN_AUTOLOAD`` leaves out installed plugins that are not named.
    """
    wanted = list(dict.fromkeys(wanted))
    excluded = {name.removeprefix("no:") for name in wanted if name.startswith("no:")}
    for name in sorted(excluded & ESSENTIAL):
        raise UsageError(f"plugin {name} is essential and cannot be left out")
    named = [name for name in wanted if not name.startswith("no:")]
    manager = Manager()
    for plugin in _wanted_plugins(named, excluded):
        manager.register(plugin)
    # Last, so that they are called first, and backwards, for pluggy calls the last one first.
    for name in reversed(BUILT_IN):
        if name not in excluded:
            module = importlib.import_module(f"kbtf.plugins.{name}")
            manager.register(Plugin(name, _native.VERSION, _BUILT_IN_ORIGIN, module))
    return manager


def _wanted_plugins(named: list[str], excluded: set[str]) -> Iterator[Plugin]:
    points: list[EntryPoint] = []
    autoload = not os.environ.get("KBTF_DISABLE_PLUGIN_AUTOLOAD")
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
    from kbtf.host.loading import load_entry_point, load_file

    for point in wanted:
        yield load_entry_point(point)
    for path in files:
        yield load_file(path)


def require_known(names: Iterable[str], points: Iterable[str] | None = None) -> None:
    """UsageError for a name, with or without ``no:``, that is no plugin's and no file's."""
    if points is None:
        points = [point.name for point in installed_plugins()]
    known = sorted([*points, *BUILT_IN])
    for name in (name.removeprefix("no:") for name in names):
        if name not in known and not _is_file(name):
            raise UsageError(f"unknown plugin {name}", hint=f"known are {', '.join(known)}")


def _is_file(name: str) -> bool:
    return name.endswith(".py") or "/" in name
