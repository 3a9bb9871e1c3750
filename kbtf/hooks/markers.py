# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The markers of kbtf's hooks, which set what those of pluggy set.

pluggy itself is only imported where it calls hooks: see `kbtf.hooks.calls`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = "kbtf"

_Hook = TypeVar("_Hook", bound="Callable[..., object]")


@overload
def hookimpl(function: _Hook) -> _Hook: ...
@overload
def hookimpl(
    *,
    wrapper: bool = ...,
    hookwrapper: bool = ...,
    optionalhook: bool = ...,
    tryfirst: bool = ...,
    trylast: bool = ...,
    specname: str | None = ...,
) -> Callable[[_Hook], _Hook]: ...
def hookimpl(
    function: Any = None,
    *,
    wrapper: bool = False,
    hookwrapper: bool = False,
    optionalhook: bool = False,
    tryfirst: bool = False,
    trylast: bool = False,
    specname: str | None = None,
) -> Any:
    """Mark a function as a hook implementation, with the options of pluggy's markers."""

    def mark(marked: Any) -> Any:
        marked.kbtf_impl = {
            "wrapper": wrapper,
            "hookwrapper": hookwrapper,
            "optionalhook": optionalhook,
            "tryfirst": tryfirst,
            "trylast": trylast,
            "specname": specname,
        }
        return marked

    return mark if function is None else mark(function)


def hookspec(*, firstresult: bool = False) -> Callable[[_Hook], _Hook]:
    """Mark a function as the specification of a hook; see pluggy for *firstresult*."""

    def mark(marked: Any) -> Any:
        marked.kbtf_spec = {
            "firstresult": firstresult,
            "historic": False,
            "warn_on_impl": None,
            "warn_on_impl_args": None,
        }
        return marked

    return mark
