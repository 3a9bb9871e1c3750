# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What changed between two releases of a real kernel in the types that its modules reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from check.declared import lines
from kbtf import Btf, Kind
from kbtf.check.rules.deep import compare_deep

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def bases(corpus: Path, corpus_base: Btf) -> dict[str, Btf]:
    found = {"6.12.117": corpus_base}
    for name in ("6.12.115", "6.12.117-cloud"):
        found[name] = Btf.parse((corpus / "base" / f"{name}.btf").read_bytes())
    return found


def test_between_two_releases_only_extcon_is_affected(corpus: Path, bases: dict[str, Btf]) -> None:
    old, new = bases["6.12.117"], bases["6.12.115"]
    affected = {}
    for path in sorted((corpus / "split").glob("*.btf")):
        split = Btf.parse(path.read_bytes(), old)
        assert compare_deep(split, old, old) == []
        affected[path.stem] = lines(compare_deep(split, old, new))
    assert len(affected) == 35
    assert {name: found for name, found in affected.items() if found} == {
        "extcon-core": [
            "embedded-resized struct device_type: was 56 bytes, is now 48; "
            "it is embedded in struct extcon_dev (member 'extcon_dev_type')",
            "member-gone struct device_type: member 'need_parent_lock' was removed",
        ]
    }


def test_moved_members_are_where_the_bases_have_them(corpus: Path, bases: dict[str, Btf]) -> None:
    old, new = bases["6.12.117"], bases["6.12.117-cloud"]
    split = Btf.parse((corpus / "split" / "bridge.btf").read_bytes(), old)
    found = compare_deep(split, old, new)
    device = [members(btf, "device") for btf in (old, new)]

    assert "member-gone struct device: member 'pins' was removed" in lines(found)
    assert device[0].keys() - device[1].keys() == {"pins"}
    moved = [name for name in device[1] if device[0].get(name) != device[1][name]]
    first, before, after = moved[0], device[0][moved[0]], device[1][moved[0]]
    alike = [name for name in moved if device[0][name] - device[1][name] == before - after]
    assert alike == moved
    assert (
        f"member-moved struct device: member '{first}' moved from byte {before // 8} "
        f"to byte {after // 8}, and the {len(moved) - 1} members after it by the same distance"
    ) in lines(found)


def members(btf: Btf, name: str) -> dict[str, int]:
    struct = btf.find(name, Kind.STRUCT)
    assert struct is not None
    return {member.name: member.offset for member in struct.members}


def test_a_distilled_module_gives_the_same_findings(corpus: Path, bases: dict[str, Btf]) -> None:
    old = bases["6.12.117"]
    for path in sorted((corpus / "split").glob("*.btf")):
        plain = Btf.parse(path.read_bytes(), old)
        base = Btf.parse((corpus / "distilled" / f"{path.stem}.base").read_bytes())
        data = (corpus / "distilled" / f"{path.stem}.split").read_bytes()
        distilled = Btf.parse(data, base)
        new = bases["6.12.117-cloud"]
        assert set(compare_deep(distilled, old, new)) == set(compare_deep(plain, old, new))
