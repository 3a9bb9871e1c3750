# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf-resolve-btfids``: what it refuses, and leaves as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import Kind
from kbtf.testing import make_base, make_ids, make_module

from .resolvable import SAME, SPLIT, all_ids
from .standins import RESOLVE_BTFIDS, call

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.integration

REFUSED = {
    "BTF that is cut short": make_module(btf=SPLIT[:-4], ids=all_ids()),
}


@pytest.mark.parametrize("case", REFUSED)
def test_where_the_original_would_write_nonsense_nothing_is_written(case: str, there: Path) -> None:
    Path("x.ko").write_bytes(REFUSED[case])
    said = call(RESOLVE_BTFIDS, "-b", "base.btf", "x.ko")
    assert said.code == 255
    assert said.words[-1].startswith("FAILED")
    assert Path("x.ko").read_bytes() == REFUSED[case]


def test_resolved_ids_are_left_alone(there: Path) -> None:
    Path("x.ko").write_bytes(SAME["all of it"])
    assert call(RESOLVE_BTFIDS, "-b", "base.btf", "x.ko").code == 0
    resolved = Path("x.ko").read_bytes()

    again = call(RESOLVE_BTFIDS, "-b", "base.btf", "x.ko")

    assert (again.code, again.words) == (0, [])
    assert again.err == ["kbtf-resolve-btfids: x.ko: .BTF_ids is already resolved; nothing changes"]
    assert Path("x.ko").read_bytes() == resolved


def test_ids_of_another_base_are_refused_and_left_alone(there: Path) -> None:
    Path("x.ko").write_bytes(SAME["all of it"])
    call(RESOLVE_BTFIDS, "-b", "base.btf", "x.ko")
    resolved = Path("x.ko").read_bytes()
    other = make_base()
    other.add_float("new", 8)
    proto = other.add_func_proto(0)
    other.add_func("f", proto)
    other.add_composite(Kind.STRUCT, "s", 4)
    other.add_func("padding", proto)
    Path("other.btf").write_bytes(other.to_bytes())

    said = call(RESOLVE_BTFIDS, "-b", "other.btf", "x.ko")

    assert said.code == 255
    assert "FAILED" in said.words[-1]
    assert Path("x.ko").read_bytes() == resolved


def test_fatal_warnings_fail_before_anything_is_written(there: Path) -> None:
    elf = SAME["all of it"]
    Path("x.ko").write_bytes(elf)
    said = call(RESOLVE_BTFIDS, "--fatal_warnings", "-b", "base.btf", "x.ko")
    assert said.code == 255
    assert "WARN: resolve_btfids: unresolved symbol nope" in said.words
    assert Path("x.ko").read_bytes() == elf

    Path("x.ko").write_bytes(make_module(btf=SPLIT, ids=make_ids(lists={"l": [("func", "g")]})))
    assert call(RESOLVE_BTFIDS, "--fatal_warnings", "-b", "base.btf", "x.ko").code == 0
