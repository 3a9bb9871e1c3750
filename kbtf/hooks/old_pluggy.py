# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``wrapper=True`` for pluggy before 1.2, as in Debian 12, which only has ``hookwrapper=True``."""

from __future__ import annotations

import functools
import inspect
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


def adapted(plugin: Any) -> object:
    """*plugin* with its wrappers as old ones."""
    hooks = {name: getattr(plugin, name, None) for name in dir(plugin)}
    marked = {name: hook for name, hook in hooks.items() if hasattr(hook, "kbtf_impl")}
    copy = ModuleType(getattr(plugin, "__name__", type(plugin).__name__))
    vars(copy).update({name: _as_old(hook) for name, hook in marked.items()})
    return copy


def _as_old(hook: Any) -> Any:
    marks = hook.kbtf_impl
    if not marks.get("wrapper"):
        return hook
    # pluggy refuses what is not a generator
    old = _hookwrapper(hook) if inspect.isgeneratorfunction(hook) else hook
    vars(old)["kbtf_impl"] = {**marks, "wrapper": False, "hookwrapper": True}
    return old


def _hookwrapper(function: Callable[..., Generator[None, Any, Any]]) -> Callable[..., Any]:
    """*function*, which is sent a result and returns one, as pluggy calls it with an outcome."""

    @functools.wraps(function)
    def hook(*arguments: object) -> Generator[None, Any, None]:
        inner = function(*arguments)
        try:
            next(inner)
        except StopIteration:
            raise RuntimeError(_says(inner, "did not yield")) from None
        outcome = yield
        try:
            outcome.force_result(_finish(inner, outcome))
        except BaseException as error:
            outcome._excinfo = (type(error), error, error.__traceback__)

    # This pluggy does not look for the arguments in __wrapped__.
    vars(hook)["__signature__"] = inspect.signature(function)
    return hook


def _finish(inner: Generator[None, Any, Any], outcome: Any) -> Any:
    try:
        try:
            result = outcome.get_result()
        except BaseException as error:
            inner.throw(error)
        else:
            inner.send(result)
    except StopIteration as end:
        return end.value
    raise RuntimeError(_says(inner, "has second yield"))


def _says(wrapper: Any, what: str) -> str:
    """As pluggy says it."""
    code = wrapper.gi_code
    return f"wrap_controller at {code.co_name!r} {code.co_filename}:{code.co_firstlineno} {what}"
