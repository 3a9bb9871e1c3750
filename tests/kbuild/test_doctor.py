# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf doctor``: what is looked at, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbtf.program import main
from kbtf.testing import make_base

from . import kdirs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .diagnosis import Said


def test_split_dwarf_is_a_problem(run_dir: Path, doctor: Callable[..., Said]) -> None:
    said = doctor("-C", kdirs.small_kdir(run_dir / "kdir", DEBUG_INFO_SPLIT="y"))

    assert said.code == 1
    assert ".dwo" in said.text("dwarf")


def test_all_is_well(
    run_dir: Path, doctor: Callable[..., Said], pahole: Callable[[str], Path]
) -> None:
    kdir = kdirs.small_kdir(run_dir / "kdir", PAHOLE_VERSION="130")

    said = doctor("-C", kdir, "--pahole", pahole("1.30"))

    assert said.code == 0
    assert said.severity("pahole") == said.severity("relocation") == "ok"
    assert said.severity("base") == "note", "raw BTF does not say its release"
    assert kdirs.RELEASE in said.text("kernel")
    assert "vmlinux" in said.text("base")


@pytest.mark.parametrize("way", ["O", "KBUILD_OUTPUT", "environment"])
def test_build_products_elsewhere_are_looked_at(
    run_dir: Path, doctor: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    sources = kdirs.small_kdir(run_dir / "sources", release="6.1.0-sources", DEBUG_INFO_BTF="")
    objects = kdirs.small_kdir(sources / "objects")
    if way == "environment":
        monkeypatch.setenv("KBUILD_OUTPUT", str(objects))

    said = doctor("-C", sources, *([] if way == "environment" else [f"{way}=objects", "V=1"]))

    assert said.severity("kernel-btf") == "ok"
    assert kdirs.RELEASE in said.text("kernel")
    assert str(objects) in said.text("vmlinux")
    assert main(["doctor", "-C", str(sources), "objects"]) == 2


def test_build_products_in_no_directory_are_the_only_problem(
    run_dir: Path, doctor: Callable[..., Said]
) -> None:
    said = doctor("-C", kdirs.small_kdir(run_dir / "kdir"), "O=/nonexistent")

    assert said.code == 1
    assert list(said.findings) == ["kernel"]
    assert said.text("kernel").startswith("/nonexistent is not a directory")


def test_what_is_printed_for_people(
    run_dir: Path, capsys: pytest.CaptureFixture[str], pahole: Callable[[str], Path]
) -> None:
    kdir = kdirs.small_kdir(run_dir / "kdir", DEBUG_INFO_BTF="")

    assert main(["doctor", "-C", str(kdir), "--pahole", str(pahole("1.30"))]) == 1

    lines = capsys.readouterr().out.splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.startswith("error"))
    assert "CONFIG_DEBUG_INFO_BTF is not set" in lines[at]
    assert lines[at + 1].lstrip().startswith("-> use a kernel with CONFIG_DEBUG_INFO_BTF=y")


def test_no_headers_at_all(run_dir: Path, doctor: Callable[..., Said]) -> None:
    said = doctor("-C", run_dir)

    assert said.code == 1
    assert "install the headers" in said.text("kernel")


def test_headers_without_configuration(run_dir: Path, doctor: Callable[..., Said]) -> None:
    kdir = kdirs.small_kdir(run_dir / "kdir")
    (kdir / "include/config/auto.conf").unlink()

    said = doctor("-C", kdir)

    assert said.code == 1
    assert "modules_prepare" in said.text("configuration")


@pytest.mark.parametrize(
    ("option", "code", "words"),
    [
        ({"DEBUG_INFO_BTF": ""}, "kernel-btf", "the kernel has no BTF"),
        ({"DEBUG_INFO_BTF_MODULES": ""}, "module-btf", "cannot register kfuncs"),
        ({"DEBUG_INFO": ""}, "dwarf", "KCFLAGS=-g"),
        ({"CC_VERSION_TEXT": '"no-such-cc-12 (x) 12"', "CC_IS_CLANG": ""}, "compiler", ""),
    ],
)
def test_options_of_the_kernel(
    run_dir: Path,
    doctor: Callable[..., Said],
    pahole: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    option: dict[str, str],
    code: str,
    words: str,
) -> None:
    program = pahole("1.30")
    kdir = kdirs.small_kdir(run_dir / "kdir", **option)
    monkeypatch.setenv("PATH", str(run_dir))

    said = doctor("-C", kdir, "--pahole", program)

    assert said.code == 1
    assert said.severity(code) == "error"
    assert words in said.text(code)


@pytest.mark.parametrize(
    ("option", "code", "words"),
    [
        ({"MODULE_ALLOW_BTF_MISMATCH": "y"}, "mismatch", "loads without BTF"),
        ({}, "mismatch", "fails to load"),
        ({"MODULE_SIG": "y", "MODULE_SIG_FORCE": "y"}, "signing", "signed modules only"),
        ({"MODULE_SIG": "y", "MODULE_SIG_ALL": "y"}, "signing", "'modules_install' signs"),
        ({"MODULE_COMPRESS_ZSTD": "y"}, "compression", "zstd"),
        ({"CC_IS_CLANG": "y", "CC_VERSION_TEXT": '"clang 19"'}, "compiler", "LLVM=1"),
    ],
)
def test_what_is_worth_knowing(
    run_dir: Path,
    doctor: Callable[..., Said],
    pahole: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    option: dict[str, str],
    code: str,
    words: str,
) -> None:
    program = pahole("1.30")
    for name in ("clang", "gcc", "make"):
        (run_dir / name).write_text("")
        (run_dir / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(run_dir))

    said = doctor("-C", kdirs.small_kdir(run_dir / "kdir", **option), "--pahole", program)

    assert said.code == 0
    assert words in said.text(code)


@pytest.mark.parametrize(
    ("members", "level", "words"),
    [
        (("btf_data", "btf_base_data"), "ok", "get .BTF.base"),
        (("btf_data",), "note", "plain split BTF"),
        ((), "error", "accepts no module BTF"),
    ],
)
def test_what_the_kernel_does_with_distilled_btf(
    run_dir: Path, doctor: Callable[..., Said], members: tuple[str, ...], level: str, words: str
) -> None:
    kdir = kdirs.small_kdir(run_dir / "kdir")
    (kdir / "vmlinux").write_bytes(make_base(module_members=members).to_bytes())

    said = doctor("-C", kdir)

    assert said.severity("relocation") == level
    assert words in said.text("relocation")
