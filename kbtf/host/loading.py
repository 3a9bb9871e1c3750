"""Bringing in the plugins of others, with clear words for one that does not fit.

Nothing of this is imported where there are none.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kbtf.btf import _native
from kbtf.errors import PluginError, os_error
from kbtf.host import hookspecs
from kbtf.host.manager import HOOKS, Plugin, in_words

if TYPE_CHECKING:
    from kbtf.host.installed import EntryPoint


def load_entry_point(point: EntryPoint) -> Plugin:
    """The plugin that an installed distribution names; PluginError if it cannot be had."""
    from kbtf.host.requires import unmet

    origin = f"{point.distribution} {point.version}"
    where = f"plugin {point.name} ({origin})"
    leave_out = f"leave it out with -p no:{point.name} or KBTF_DISABLE_PLUGIN_AUTOLOAD=1"
    needs = unmet(point.folder, _native.VERSION)
    if needs:
        raise PluginError(
            f"needs kbtf {needs}, this is {_native.VERSION}",
            where=where,
            hint=f"install what fits, or {leave_out}",
        )
    module_name, _, attribute = point.target.partition(":")
    try:
        module = importlib.import_module(module_name)
        for part in filter(None, attribute.split(".")):
            module = getattr(module, part)
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"cannot be loaded: {in_words(error)}", where=where, hint=leave_out
        ) from error
    return Plugin(point.name, point.version, origin, module)


def load_file(path: str) -> Plugin:
    """The plugin in a Python file; PluginError if it cannot be run."""
    name = os.path.basename(path).removesuffix(".py").replace("-", "_")
    module = ModuleType(f"kbtf_plugin_{name}")
    module.__file__ = path
    try:
        # Not through importlib, which would leave a __pycache__ beside the user's file.
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise os_error(error, path) from error
    try:
        exec(compile(source, path, "exec"), vars(module))  # noqa: S102
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"cannot be loaded: {in_words(error)}", where=f"plugin {name} ({path})"
        ) from error
    return Plugin(name, str(getattr(module, "__version__", "")), path, module)


def check_hooks(plugin: Plugin) -> None:
    """PluginError names the first hook of a plugin that kbtf would not call, or not so."""
    for name in dir(plugin.module):
        wrong = _wrong_hook(name, getattr(plugin.module, name, None))
        if wrong:
            raise PluginError(wrong, where=str(plugin))


def _wrong_hook(name: str, value: Any) -> str | None:
    """What is wrong with a name of a plugin, if it is or should be a hook."""
    marks = getattr(value, "kbtf_impl", None)
    if marks is None and not (name.startswith("kbtf_") and callable(value)):
        return None
    if name not in HOOKS:
        return None if marks and marks["optionalhook"] else _no_such_hook(name)
    if marks is None:
        return f"{name} is not marked @hookimpl"
    known = _arguments(getattr(hookspecs, name))
    unknown = [argument for argument in _arguments(value) if argument not in known]
    if unknown:
        return f"{name} takes {', '.join(known)}, but not {', '.join(unknown)}"
    return None


def _no_such_hook(name: str) -> str:
    import difflib

    likely = difflib.get_close_matches(name, HOOKS, n=1)
    guess = f" (did you mean {likely[0]}?)" if likely else ""
    return f"kbtf {_native.VERSION} has no hook {name}{guess}"


def _arguments(function: Any) -> list[str]:
    import inspect

    return list(inspect.signature(function).parameters)
