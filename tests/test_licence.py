# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Each source that is installed names its licence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LINE = "SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause"


@pytest.mark.parametrize("folder", ["kbtf", "plugins"])
def test_every_source_names_its_licence(root: Path, folder: str) -> None:
    files = [path for end in ("py", "c", "h") for path in (root / folder).rglob(f"*.{end}")]
    texts = {path: path.read_text() for path in files}
    assert texts
    assert [path for path, text in texts.items() if text and LINE not in text[:200]] == []
