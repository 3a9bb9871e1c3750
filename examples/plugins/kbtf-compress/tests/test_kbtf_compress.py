# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whatever the name says: the standard tools unpack it to what kbtf writes without a name."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kbtf.testing.fixtures import Done

TOOLS = {"gz": ("gzip", "-dc"), "xz": ("xz", "-dc"), "zst": ("zstd", "-dc")}


def unpacked(path: Path) -> bytes:
    tool = TOOLS[path.suffix.removeprefix(".")]
    return subprocess.run([*tool, str(path)], capture_output=True, check=True).stdout


@pytest.fixture
def plain(kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done]) -> bytes:
    """What is in the file without compression."""
    assert kbtf_run("run", "-o", "plain.ko", kbtf_module()).code == 0
    return kbtf_module().with_name("plain.ko").read_bytes()


@pytest.mark.parametrize("kind", TOOLS)
@pytest.mark.parametrize("level", [None, 1, 9])
def test_the_name_of_the_output_decides(
    kind: str,
    level: int | None,
    plain: bytes,
    kbtf_module: Callable[..., Path],
    kbtf_run: Callable[..., Done],
    kbtf_dir: Path,
) -> None:
    options = [] if level is None else ["--compress-level", level]
    assert kbtf_run("run", *options, "-o", f"out.ko.{kind}", kbtf_module()).code == 0
    assert unpacked(kbtf_dir / f"out.ko.{kind}") == plain


def test_a_second_run_changes_nothing(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done], kbtf_dir: Path
) -> None:
    kbtf_run("run", "-o", "out.ko.xz", kbtf_module())
    first = (kbtf_dir / "out.ko.xz").read_bytes()

    assert "(unchanged)" in kbtf_run("run", "-o", "out.ko.xz", kbtf_module()).out
    assert "(unchanged)" in kbtf_run("run", "out.ko.xz").out
    assert (kbtf_dir / "out.ko.xz").read_bytes() == first


def test_a_module_without_btf_is_compressed_too(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done], kbtf_dir: Path
) -> None:
    module = kbtf_module(btf=None, kfuncs=())

    assert "skipped" in kbtf_run("run", "-o", "out.ko.xz", module).out
    assert unpacked(kbtf_dir / "out.ko.xz") == module.read_bytes()


def test_another_name_than_the_module_has_is_refused(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done], kbtf_dir: Path
) -> None:
    kbtf_run("run", "-o", "tiny.ko.xz", kbtf_module())

    done = kbtf_run("run", "-o", "out.ko.zst", "tiny.ko.xz")

    assert done.code == 2
    assert "compressed as xz, the name says zst" in done.err
    assert not (kbtf_dir / "out.ko.zst").exists()


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("kbtf.toml", "[compress]\nlevel = 12\n", "not from 1 to 9"),
        ("kbtf.toml", "[compress]\nlevel = 'high'\n", "not of type int"),
        ("kbtf.toml", "[compress]\nlevle = 3\n", "unknown key 'compress.levle'"),
        ("pyproject.toml", "[tool.kbtf.compress]\nlevle = 3\n", "unknown key 'compress.levle'"),
    ],
)
def test_a_wrong_table_is_a_usage_error(
    file: str,
    text: str,
    words: str,
    kbtf_module: Callable[..., Path],
    kbtf_run: Callable[..., Done],
    kbtf_dir: Path,
) -> None:
    (kbtf_dir / file).write_text(text)

    done = kbtf_run("run", kbtf_module())

    assert done.code == 2
    assert words in done.err


def test_the_table_counts(
    kbtf_module: Callable[..., Path], kbtf_run: Callable[..., Done], kbtf_dir: Path
) -> None:
    module = kbtf_module(sections={".data": bytes(range(256)) * 64})
    kbtf_run("run", "--compress-level", 9, "-o", "line.ko.gz", module)
    (kbtf_dir / "pyproject.toml").write_text("[tool.kbtf.compress]\nlevel = 9\n")
    kbtf_run("run", "-o", "table.ko.gz", module)
    kbtf_run("run", "--compress-level", 1, "-o", "low.ko.gz", module)

    table = (kbtf_dir / "table.ko.gz").read_bytes()
    assert table == (kbtf_dir / "line.ko.gz").read_bytes()
    assert table != (kbtf_dir / "low.ko.gz").read_bytes()
