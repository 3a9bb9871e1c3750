# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A folder for bad input, and a kernel for `kbtf run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.folders import BASE, GOOD, Folder
from cli.runs import make_kernel

if TYPE_CHECKING:
    from pathlib import Path

    from cli.runs import Kernel


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "kbtf"


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> Folder:
    made = Folder(tmp_path / "folder", cache)
    made.write("vmlinux.btf", BASE.to_bytes())
    made.write("good.ko", GOOD)
    return made


@pytest.fixture
def kernel(run_dir: Path) -> Kernel:
    return make_kernel(run_dir)
