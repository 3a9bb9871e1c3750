# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Load external plugins, with clear errors for those that do not fit.

This module is imported only if there are any.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kbtf.errors import KbtfError, PluginError, in_words
from kbtf.files.small import read_small
from kbtf.hooks import specs as hookspecs
from kbtf.hooks.plugin import Plugin
from kbtf.hooks.specs import HOOKS
from kbtf.version import VERSION

if TYPE_CHECKING:
    from kbtf.hooks.installed import EntryPoint

_MOST_SOURCE = 1 << 20  # bytes of a plugin


def load_entry_point(point: EntryPoint) -> Plugin:
    """The plugin that an installed distribution names; PluginError if it cannot be loaded."""
    from kbtf.hooks.requires import unmet

    origin = f"{point.distribution} {point.version}"
    where = f"plugin {point.name} ({origin})"
    leave_out = f"disable it with -p no:{point.name} or KBTF_DISABLE_PLUGIN_AUTOLOAD=1"
    needs = unmet(point.folder, VERSION)
    if needs:
        raise PluginError(
            f"needs kbtf {needs}, this is {VERSION}",
            where=where,
            hint=f"install a version that fits, or {leave_out}",
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
    # Not through importlib, which would leave a __pycache__ next to the user's file.
    file = read_small(path, _MOST_SOURCE)
    if file is None:
        raise KbtfError("no such file or directory", file=path)
    sys.modules[module.__name__] = module  # where dataclasses, for one, look up annotations
    try:
        exec(compile(file.data, path, "exec"), vars(module))  # noqa: S102
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise PluginError(
            f"cannot be loaded: {in_words(error)}", where=f"plugin {name} ({path})"
        ) from error
    return Plugin(name, str(getattr(module, "__version__", "")), path, module)


def check_hooks(plugin: Plugin) -> None:
    """PluginError for the first hook of a plugin that kbtf would not call as it is."""
    for name in dir(plugin.module):
        wrong = _wrong_hook(name, getattr(plugin.module, name, None))
        if wrong:
            raise PluginError(wrong, where=str(plugin))


def _wrong_hook(name: str, value: Any) -> str | None:
    """What is wrong with a name in a plugin, if it is or should be a hook."""
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
    return f"kbtf {VERSION} has no hook {name}{guess}"


def _arguments(function: Any) -> list[str]:
    import inspect

    return list(inspect.signature(function).parameters)
