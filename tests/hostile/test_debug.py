# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whatever the debug sections of a small module hold, reading them ends soon, in little memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hostile.cost import run
from hostile.debug import SHAPES
from hostile.dwarf import module
from kbtf.testing import make_base

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {
    "encode": "encode --base small m.ko -o out",
    "encode --strict": "encode --strict --profile 131 --base small m.ko -o out",
    "run": "run --dry-run --no-cache --base small m.ko",
    "show -v": "show -v m.ko",
    "pahole": "-J --btf_base small --btf_encode_detached=out m.ko",
}


@pytest.mark.integration
@pytest.mark.parametrize("shape", SHAPES)
def test_debug_sections_are_bounded(shape: str, tmp_path: Path) -> None:
    data = module(SHAPES[shape]())
    assert len(data) < 1_000_000
    (tmp_path / "m.ko").write_bytes(data)
    (tmp_path / "small").write_bytes(make_base().build().to_bytes())

    found = {}
    for name, command in COMMANDS.items():
        program = "kbtf-pahole" if name == "pahole" else "kbtf"
        found[name] = list(run(command.split(), tmp_path, program).mistakes())

    assert {name: mistakes for name, mistakes in found.items() if mistakes} == {}
