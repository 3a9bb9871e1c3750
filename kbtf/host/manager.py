"""The plugin manager: which plugins there are, and calling their hooks.

A manager is made for each run, by make_manager(), never at import.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

from kbtf.btf import _native
from kbtf.errors import KbtfError, PluginError, UsageError, os_error
from kbtf.host import hookspecs
from kbtf.host.markers import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENTRY_POINT_GROUP = "kbtf.plugins"
BUILT_IN = (
    "pahole",
    "kfunc_tags",
    "distill",
    "resolve_btfids",
    "embed_sections",
    "verify",
)
# Without it nothing is written back, and a run would claim what it did not do.
ESSENTIAL = frozenset({"embed_sections"})


class Plugin(NamedTuple):
    """A plugin that was loaded."""

    name: str
    version: str
    origin: str
    """``built-in``, the distribution that it came with, or its file."""
    module: Any


class EntryPoint(NamedTuple):
    """A line of the group ``kbtf.plugins`` in the metadata of an installed distribution."""

    name: str
    target: str
    distribution: str
    version: str


class Manager:
    """The plugins of one run, in the order in which they were loaded."""

    def __init__(self) -> None:
        self.pluggy = pluggy.PluginManager(PROJECT)
        self.pluggy.add_hookspecs(hookspecs)
        self.plugins: list[Plugin] = []

    def register(self, plugin: Plugin) -> None:
        """Add a plugin; PluginError names it if a hook of its does not exist."""
        for name, value in vars(plugin.module).items():
            wrong = _wrong_hook(name, value)
            if wrong:
                raise PluginError(f"plugin {plugin.name} ({plugin.origin}): {wrong}")
        try:
            self.pluggy.register(plugin.module, name=plugin.name)
        except (pluggy.PluginValidationError, ValueError) as error:
            what = " ".join(str(error).split())
            raise PluginError(f"plugin {plugin.name} ({plugin.origin}): {what}") from error
        self.plugins.append(plugin)

    def call(self, hook: str, **arguments: object) -> Any:
        """Call a hook; PluginError names the plugin that raised anything but a KbtfError."""
        try:
            return getattr(self.pluggy.hook, hook)(**arguments)
        except (KbtfError, OSError):
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(f"{self._culprit(error)}: {hook} raised {_words(error)}") from error

    def _culprit(self, error: BaseException) -> str:
        """The plugin whose code is innermost in the traceback."""
        by_name = {plugin.module.__name__: plugin for plugin in self.plugins}
        found = None
        traceback = error.__traceback__
        while traceback is not None:
            found = by_name.get(traceback.tb_frame.f_globals.get("__name__", ""), found)
            traceback = traceback.tb_next
        return f"plugin {found.name} ({found.origin})" if found else "a plugin"

    def hooks_of(self, plugin: Plugin) -> list[str]:
        """The hooks that a plugin implements, phases in the order in which they run."""
        known = [name for name in vars(hookspecs) if name.startswith("kbtf_")]
        callers = self.pluggy.get_hookcallers(plugin.module) or []
        return sorted((caller.name for caller in callers), key=known.index)

    def order_of(self, hook: str) -> list[str]:
        """The plugins that implement a hook, in the order in which they are called."""
        caller = getattr(self.pluggy.hook, hook)
        return [impl.plugin_name for impl in reversed(caller.get_hookimpls())]


def _wrong_hook(name: str, value: Any) -> str | None:
    """What is wrong with a name of a plugin's module, if it is or should be a hook."""
    marked = hasattr(value, "kbtf_impl")
    if not marked and not (name.startswith("kbtf_") and callable(value)):
        return None
    spec = getattr(hookspecs, name, None)
    if spec is None:
        return f"there is no hook {name}"
    if not marked:
        return f"{name} is not marked @hookimpl"
    unknown = set(_arguments(value)) - set(_arguments(spec))
    if unknown:
        return f"{name} takes {', '.join(_arguments(spec))}, but not {', '.join(sorted(unknown))}"
    return None


def _arguments(function: Any) -> tuple[str, ...]:
    code = function.__code__
    return tuple(code.co_varnames[: code.co_argcount])


def _words(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def make_manager(wanted: Iterable[str] = ()) -> Manager:
    """A manager with the built-in plugins, the installed ones and those *wanted*.

    Each of *wanted* is the name of an installed plugin, ``no:NAME``, or the path of a Python file.
    ``KBTF_DISABLE_PLUGIN_AUTOLOAD`` leaves out installed plugins that are not named.
    """
    wanted = list(wanted)
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
            manager.register(Plugin(name, _native.VERSION, "built-in", module))
    return manager


def _wanted_plugins(named: list[str], excluded: set[str]) -> Iterator[Plugin]:
    points: dict[str, EntryPoint] = {}
    autoload = not os.environ.get("KBTF_DISABLE_PLUGIN_AUTOLOAD")
    names = [name for name in named if not _is_file(name)]
    if autoload or names or excluded:
        points = {point.name: point for point in installed_plugins()}
        require_known([*names, *excluded], points)
    for point in points.values():
        if (autoload or point.name in names) and point.name not in excluded:
            yield _load_entry_point(point)
    for path in filter(_is_file, named):
        yield _load_file(path)


def require_known(names: Iterable[str], points: Iterable[str] | None = None) -> None:
    """UsageError for a name, with or without ``no:``, that is no plugin's and no file's."""
    if points is None:
        points = [point.name for point in installed_plugins()]
    known = sorted([*points, *BUILT_IN])
    for name in (name.removeprefix("no:") for name in names):
        if name not in known and not _is_file(name):
            raise UsageError(f"no plugin {name}", hint=f"there are {', '.join(known)}")


def _is_file(name: str) -> bool:
    return name.endswith(".py") or "/" in name


def installed_plugins() -> Iterator[EntryPoint]:
    """The entry points of all installed distributions.

    Read directly, for importlib.metadata costs more than all the rest of a start.
    """
    seen = set()
    for folder in sys.path:
        try:
            entries = sorted(os.listdir(folder or "."))
        except OSError:
            continue
        for entry in entries:
            if not entry.endswith(".dist-info"):
                continue
            distribution, _, version = entry.removesuffix(".dist-info").partition("-")
            if distribution in seen:
                continue
            seen.add(distribution)
            for name, target in _entry_points(os.path.join(folder, entry, "entry_points.txt")):
                yield EntryPoint(name, target, distribution, version)


def _entry_points(path: str) -> list[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return []
    _, found, section = text.partition(f"[{ENTRY_POINT_GROUP}]\n")
    if not found:
        return []
    lines = section.partition("\n[")[0].splitlines()
    pairs = [line.partition("=") for line in lines if "=" in line]
    return [(name.strip(), target.strip()) for name, _, target in pairs]


def _load_entry_point(point: EntryPoint) -> Plugin:
    origin = f"{point.distribution} {point.version}"
    module_name, _, attribute = point.target.partition(":")
    try:
        module = importlib.import_module(module_name)
        for part in filter(None, attribute.split(".")):
            module = getattr(module, part)
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"plugin {point.name} ({origin}) cannot be loaded: {_words(error)}",
            hint=f"leave it out with -p no:{point.name}",
        ) from error
    return Plugin(point.name, point.version, origin, module)


def _load_file(path: str) -> Plugin:
    name = os.path.basename(path).removesuffix(".py").replace("-", "_")
    module = ModuleType(f"kbtf_plugin_{name}")
    module.__file__ = path
    try:
        # Not through importlib, which would leave a __pycache__ beside the user's file.
        with open(path, "rb") as file:
            exec(compile(file.read(), path, "exec"), vars(module))  # noqa: S102
    except OSError as error:
        raise os_error(error, path) from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin {name} ({path}) cannot be loaded: {_words(error)}") from error
    return Plugin(name, str(getattr(module, "__version__", "")), path, module)
