# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What tests of externs take: libbpf's own code, and a compiler for BPF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conftest import or_missing
from oracles import build as oracles
from oracles.ksyms import ksyms_oracle

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def oracle() -> Path:
    """libbpf's code for externs."""
    with or_missing():
        oracles.need("clang")
        return ksyms_oracle()


@pytest.fixture
def needs_clang() -> None:
    with or_missing():
        oracles.need("clang")
