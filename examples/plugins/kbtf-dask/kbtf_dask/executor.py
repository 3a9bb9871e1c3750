# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A Dask cluster as an executor."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client

from kbtf import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 10  # to reach the scheduler


class DaskExecutor(Executor):
    """What a worker had when it died goes to another one: Dask does so by itself, up to
    `distributed.scheduler.allowed-failures` times.
    """

    def __init__(self, address: str) -> None:
        # modules are large, which is fine
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})
        try:
            self._client = Client(address, timeout=_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ToolError(f"no Dask scheduler at {address}: {error}") from error
        self._executor = self._client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = self._executor.submit(fn, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait=wait)
        self._client.close()
