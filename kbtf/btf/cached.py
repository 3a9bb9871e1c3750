# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results that are computed once for each BTF, and dropped with it."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate, ParamSpec

    from kbtf.btf.btf import Btf

    _Arguments = ParamSpec("_Arguments")

_Result = TypeVar("_Result")


def once_a_btf(
    function: Callable[Concatenate[Btf, _Arguments], _Result],
) -> Callable[Concatenate[Btf, _Arguments], _Result]:
    """*function* with its result kept in each BTF."""

    @wraps(function)
    def cached(btf: Btf, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        key = function, args, tuple(kwargs.items())
        if key not in btf.results:
            btf.results[key] = function(btf, *args, **kwargs)
        result: _Result = btf.results[key]
        return result

    return cached
