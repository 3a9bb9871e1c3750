# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Runs kbtf's batches on a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import hookimpl

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from kbtf import Config, OptionGroup


@hookimpl
def kbtf_add_options(group: OptionGroup) -> None:
    group.add(
        "--dask",
        metavar="ADDRESS",
        help="work on the Dask cluster of the scheduler tcp://HOST:8786 or tls://HOST:8786",
    )


@hookimpl
def kbtf_executor(config: Config) -> Executor | None:
    if not config.get("dask"):
        return None
    # not before: Dask takes a second to import
    from kbtf_dask.executor import DaskExecutor

    return DaskExecutor(config["dask"])
