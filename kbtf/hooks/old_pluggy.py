# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``wrapper=True`` for pluggy before 1.2, as in Debian 12, which only has ``hookwrapper=True``."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class OldHookimplMarker:
    """Marks functions with the options of newer versions."""

    def __init__(self, project: str) -> None:
        self._mark: Any = pluggy.HookimplMarker(project)

    def __call__(self, function: Any = None, *, wrapper: bool = False, **options: Any) -> Any:
        if function is None:
            return functools.partial(self, wrapper=wrapper, **options)
        if wrapper:
            options["hookwrapper"] = True
            if inspect.isgeneratorfunction(function):  # pluggy refuses any other
                function = _hookwrapper(function)
        return self._mark(function, **options)


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
