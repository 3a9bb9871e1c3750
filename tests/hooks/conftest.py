# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A module that plugins are run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbtf import BtfBuilder
from kbtf.testing import make_base, make_module

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def module(run_dir: Path) -> Path:
    base = make_base()
    (run_dir / "vmlinux.btf").write_bytes(base.to_bytes())
    split = BtfBuilder(base.build())
    split.add_func("fn", split.add_func_proto(1))
    path = run_dir / "tiny.ko"
    path.write_bytes(make_module(btf=split.to_bytes()))
    return path
