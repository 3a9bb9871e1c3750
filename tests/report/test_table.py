# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Results as lines for people."""

from __future__ import annotations

import io

import pytest

from kbtf.report import table
from kbtf.report.colour import wants_colour
from report.samples import FEW, HOSTILE, KERNELS, NOTE, hostile, result


def test_one_line_for_each_pair_findings_below_and_the_counts_at_the_end() -> None:
    assert table.render(FEW).splitlines() == [
        "/m/one.ko    6.12.115+deb13-amd64  rejected (loads without BTF)",
        "  error [embedded-resized]: struct device_type is embedded in struct extcon_cable "
        "(member 'x') and is 48 bytes in 6.12.117, 56 in 6.12.115; "
        "build the module against this kernel",
        "/m/one.ko    6.12.117+deb13-amd64  warnings",
        "  warning [unchecked]: plain split BTF of another build of vmlinux",
        "/m/two.ko    2 kernels             ok",
        "/m/three.ko  6.12.115+deb13-amd64  unknown",
        "  error: /m/three.ko: is not an ELF file",
        "/m/three.ko  6.12.117+deb13-amd64  ok",
        "3 ok, 1 warnings, 1 rejected, 1 unknown",
    ]


def test_one_pair_has_no_counts_and_notes_are_for_the_verbose() -> None:
    one = [result("/m/two.ko", KERNELS[0], NOTE)]
    assert table.render(one) == "/m/two.ko  6.12.115+deb13-amd64  ok\n"
    assert table.render(one, verbose=True).splitlines()[1:] == [
        "  note [kfuncs-lost]: the size of an enum is not compared"
    ]


def test_a_module_whose_notes_are_shown_has_all_its_lines() -> None:
    pair = [result("/m/two.ko", KERNELS[0], NOTE), result("/m/two.ko", KERNELS[1])]
    assert "2 kernels" in table.render(pair)
    assert "2 kernels" not in table.render(pair, verbose=True)


def test_kernels_that_share_a_release_are_told_apart_by_their_source() -> None:
    pair = [result(kernel="unknown")._replace(source=source) for source in ("/a", "/b")]
    pair = [each._replace(findings=(NOTE,)) for each in pair]
    text = table.render(pair, verbose=True)
    assert "unknown (/a)" in text
    assert "unknown (/b)" in text


def test_no_name_steers_the_terminal_or_adds_a_line() -> None:
    text = table.render(hostile())
    assert len(text.splitlines()) == 2 * len(HOSTILE) + 1
    assert all(line.isprintable() for line in text.split("\n"))
    assert "escape\\x1b[31m" in text
    assert "over\\u202egnp.ko" in text
    assert "byte\\xff" in text


def test_nothing_gives_nothing() -> None:
    assert table.render([]) == ""


def test_verdicts_and_severities_have_colours() -> None:
    plain, coloured = table.render(FEW), table.render(FEW, colour=True)
    assert "\x1b" not in plain
    assert "\x1b[31mrejected\x1b[0m (loads" in coloured
    assert coloured.count("\x1b") == 2 * 8


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_whose_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())
