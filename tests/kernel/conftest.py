# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A cache of the test's own, and a place for images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("KBTF_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., str]:
    def save(data: bytes, name: str = "image") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    return save
