# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf base diff``: silent on what is equal, else what differs, as text and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from btf.bases import base_of
from kbtf import Btf, BtfBuilder, Kind
from kbtf.program import main

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, *bases: Btf) -> list[str]:
    paths = [folder / f"{at}.btf" for at in range(len(bases))]
    for path, base in zip(paths, bases, strict=True):
        path.write_bytes(base.to_bytes())
    return list(map(str, paths))


def test_the_command_is_silent_on_what_is_equal(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = write(run_dir, base_of("STRUCT foo 8"), base_of("STRUCT foo 8"))

    assert main(["base", "diff", a, b]) == 0
    assert capsys.readouterr().out == "identical: 2 types, 3 strings\n"


def test_the_command_lists_what_differs(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = base_of("STRUCT foo 8", "STRUCT gone 1", "STRUCT turned 8")
    two = base_of("STRUCT foo 16", "UNION turned 8", "FUNC came 0")
    a, b = write(run_dir, one, two)

    assert main(["base", "diff", a, b]) == 1

    assert capsys.readouterr().out.splitlines() == [
        "types    A 4, B 4",
        "strings  A 5, B 5",
        "first difference: type [2]",
        "  A: STRUCT 'foo', 8 bytes, 0 items",
        "  B: STRUCT 'foo', 16 bytes, 0 items",
        "removed 1",
        "  - struct gone (1 byte)",
        "added 1",
        "  + func came",
        "resized 1",
        "  ~ struct foo (8 bytes) -> struct foo (16 bytes)",
        "changed kind 1",
        "  ~ struct turned (8 bytes) -> union turned (8 bytes)",
    ]


def test_the_command_shows_the_first_member_that_differs(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bases = []
    for member in ("x", "y"):
        builder = BtfBuilder()
        integer = builder.add_int("int", 4)
        builder.add_composite(Kind.STRUCT, "s", 8, [("same", integer, 0), (member, integer, 32)])
        bases.append(builder.build())
    a, b = write(run_dir, *bases)

    assert main(["base", "diff", a, b]) == 1

    assert capsys.readouterr().out.splitlines()[2:7] == [
        "first difference: type [2]",
        "  A: STRUCT 's', 8 bytes, 2 items",
        "  B: STRUCT 's', 8 bytes, 2 items",
        "  A: 'x' at bit 32: [1] int",
        "  B: 'y' at bit 32: [1] int",
    ]


def test_the_command_says_the_same_in_json(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = write(run_dir, base_of("STRUCT foo 8"), base_of("STRUCT foo 16"))

    assert main(["base", "diff", a, b, "--json"]) == 1

    document = json.loads(capsys.readouterr().out)
    assert not document["identical"]
    assert document["types"] == {"a": 2, "b": 2}
    assert document["first"]["id"] == 2
    assert document["resized"] == [
        {
            "a": {"id": 2, "word": "struct", "name": "foo", "size": 8},
            "b": {"id": 2, "word": "struct", "name": "foo", "size": 16},
        }
    ]


@pytest.mark.parametrize("args", [["diff", "a"], ["diff", "a", "b", "c"], ["a", "b"]])
def test_the_command_takes_two_bases(args: list[str], run_dir: Path) -> None:
    assert main(["base", *args]) == 2


def test_a_file_called_diff_is_a_file(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_dir / "diff").write_bytes(base_of().to_bytes())

    assert main(["base", "diff"]) == 0
    assert capsys.readouterr().out.startswith("source  diff\n")
