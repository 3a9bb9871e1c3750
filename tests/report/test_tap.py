# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results as TAP; Meson's own parser reads them."""

from __future__ import annotations

import pytest

from kbtf.check.result import Result
from kbtf.check.rules.load import failed
from kbtf.errors import KbtfError
from kbtf.report import tap
from report.samples import FEW, HOSTILE, hostile, result


def test_a_plan_a_line_for_each_test_and_comments() -> None:
    lines = tap.render(FEW).splitlines()
    assert lines[:8] == [
        "TAP version 13",
        "1..6",
        "not ok 1 - one on 6.12.115+deb13-amd64",
        "#   verdict: rejected",
        "#   btf: refused",
        "#   loading: loads without BTF",
        "#   error embedded-resized: struct device_type is embedded in struct extcon_cable "
        "(member 'x') and is 48 bytes in 6.12.117, 56 in 6.12.115; "
        "build the module against this kernel",
        "#   note kfuncs-lost: the size of an enum is not compared",
    ]
    assert [line for line in lines if "ok " in line[:7]] == [
        "not ok 1 - one on 6.12.115+deb13-amd64",
        "ok 2 - one on 6.12.117+deb13-amd64",
        "ok 3 - two on 6.12.115+deb13-amd64",
        "ok 4 - two on 6.12.117+deb13-amd64",
        "not ok 5 - three on 6.12.115+deb13-amd64",
        "ok 6 - three on 6.12.117+deb13-amd64",
    ]


def test_modules_that_share_a_name_are_told_apart_by_their_path() -> None:
    text = tap.render([result("/a/one.ko"), result("/b/one.ko")])
    assert "ok 1 - /a/one.ko on" in text
    assert "ok 2 - /b/one.ko on" in text


@pytest.mark.parametrize("results", [FEW, hostile(), []], ids=["few", "hostile", "none"])
def test_meson_reads_it(results: list[Result]) -> None:
    parser = pytest.importorskip("mesonbuild.mtest").TAPParser
    events = list(parser().parse(tap.render(results).splitlines(keepends=True)))
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["Version", "Plan", *["Test"] * len(results)]
    assert not [event for event in events if getattr(event, "explanation", None) and results]


def test_a_module_that_cannot_be_read_is_on_no_kernel() -> None:
    unread = failed("/m/none.ko", KbtfError("is empty", file="/m/none.ko"))
    assert "not ok 2 - /m/none.ko\n" in tap.render([*FEW[:1], unread])


def test_no_name_is_a_directive() -> None:
    text = tap.render(hostile())
    tests = [line for line in text.splitlines() if not line.startswith(("#", "TAP", "1.."))]
    assert len(tests) == len(HOSTILE)
    assert not [line for line in tests if "#" in line]
    assert "=cmd|calc \\x23 SKIP" in text
