# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What goes into the section comes out of the command, and nothing that was not told goes in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kbtf import Module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kbtf.testing.fixtures import Done

COMMENT = b"\0GCC: (Debian 12.2.0-14) 12.2.0\0GCC: (Debian 12.2.0-14) 12.2.0\0"


@pytest.fixture(autouse=True)
def no_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture
def module(kbtf_module: Callable[..., Path]) -> Path:
    return kbtf_module(sections={".comment": COMMENT})


def test_what_is_known_and_told_is_written_and_read(
    module: Path, kbtf_run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")

    assert kbtf_run("run", "--provenance-revision", "v1.2-3-gabcdef", module).code == 0

    assert json.loads(kbtf_run("provenance", "--json", module).out) == {
        "compilers": ["GCC: (Debian 12.2.0-14) 12.2.0"],
        "epoch": 1700000000,
        "kernel": "6.12.0-test",
        "revision": "v1.2-3-gabcdef",
    }
    assert kbtf_run("provenance", module).out == (
        "compilers: GCC: (Debian 12.2.0-14) 12.2.0\n"
        "epoch: 1700000000\n"
        "kernel: 6.12.0-test\n"
        "revision: v1.2-3-gabcdef\n"
    )


def test_what_is_not_known_is_left_out(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done]
) -> None:
    module = kbtf_module()
    kbtf_run("run", module)

    assert json.loads(kbtf_run("provenance", "--json", module).out) == {"kernel": "6.12.0-test"}


def test_equal_builds_give_equal_modules_and_a_second_run_changes_nothing(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done]
) -> None:
    one, two = kbtf_module(), kbtf_module("other", btf=None, kfuncs=()).with_name("two.ko")
    two.write_bytes(one.read_bytes())
    for path in (one, two):
        assert kbtf_run("run", "--provenance-revision", "r1", path).code == 0

    assert one.read_bytes() == two.read_bytes()
    assert "(unchanged)" in kbtf_run("run", one).out
    assert "revision: r1" in kbtf_run("provenance", one).out


def test_the_revision_may_stand_in_a_table(
    module: Path, kbtf_run: Callable[..., Done], kbtf_dir: Path
) -> None:
    (kbtf_dir / "pyproject.toml").write_text("[tool.kbtf.provenance]\nrevision = 'r2'\n")
    kbtf_run("run", module)
    assert "revision: r2" in kbtf_run("provenance", module).out

    (kbtf_dir / "kbtf.toml").write_text("[provenance]\nrev = 'r2'\n")
    done = kbtf_run("run", module)
    assert done.code == 2
    assert "unknown key 'provenance.rev'" in done.err


def test_a_module_that_says_nothing_is_a_negative_answer(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done]
) -> None:
    done = kbtf_run("provenance", kbtf_module())

    assert done.code == 1
    assert "does not say" in done.err


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff\xfe\x00", b"[" * 100_000])
def test_a_section_that_cannot_be_read_is_bad_input(
    data: bytes, module: Path, kbtf_run: Callable[..., Done]
) -> None:
    image = Module.open(str(module)).image
    image.set_section(".kbtf.provenance", data)
    module.write_bytes(image.to_bytes())

    for words in (("provenance", module), ("run", module)):
        done = kbtf_run(*words)
        assert done.code == 3
        (line,) = done.err.splitlines()
        assert ".kbtf.provenance: is not " in line


def test_an_epoch_that_is_no_number_is_a_usage_error(
    module: Path, kbtf_run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")

    done = kbtf_run("run", module)

    assert done.code == 2
    assert "'yesterday'" in done.err
