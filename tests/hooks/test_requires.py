# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Requirements on kbtf in the metadata of a plugin's distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbtf.hooks.requires import unmet

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "Metadata-Version: 2.4\nName: plugin\nVersion: 1\n"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("kbtf", None),
        ("kbtf>=0.1,<0.2", None),
        ("kbtf ~=0.1.0", None),
        ("kbtf (>=0.1)", None),
        ("KBTF[extra]==0.1.*", None),
        ("kbtf===0.1.0", None),
        ("kbtf>=0.1.0rc1", None),
        ("kbtf @ file:///kbtf", None),
        ("kbtf>=99; extra == 'more'", None),
        ("kbtf>=99; python_version < '3'", None),
        ("kbtf-other>=99", None),
        ("nonsense >= ?", None),
        ("kbtf>=0.2", ">=0.2"),
        ("kbtf (<0.1)", "<0.1"),
        ("kbtf!=0.1.*", "!=0.1.*"),
        ("KBTF>0.1.0", ">0.1.0"),
        ("kbtf>=99; python_version > '3'", ">=99"),
    ],
)
def test_a_requirement_means_what_it_means_to_pip(
    tmp_path: Path, wanted: str, said: str | None
) -> None:
    folder = tmp_path / "plugin-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"{HEAD}Requires-Dist: {wanted}\n\nRequires-Dist: kbtf>=99\n")

    assert unmet(str(folder), "0.1.0") == said


@pytest.mark.parametrize("metadata", [None, b"", b"\xff\xfe\n"])
def test_metadata_that_cannot_be_read_ask_for_nothing(
    tmp_path: Path, metadata: bytes | None
) -> None:
    folder = tmp_path / "plugin-1.dist-info"
    folder.mkdir()
    if metadata is not None:
        (folder / "METADATA").write_bytes(metadata)

    assert unmet(str(folder), "0.1.0") is None
