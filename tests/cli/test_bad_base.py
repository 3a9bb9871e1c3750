# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Bases that are none, or not the module's: one line that says so, and every file as it was."""

from __future__ import annotations

import gzip
import lzma
import os
import sys
from typing import TYPE_CHECKING

import pytest

from cli.folders import (
    BAD_INPUT,
    BASE_BLOB,
    DEMO,
    DISTILLED,
    ENVIRONMENT,
    GOOD,
    RELEASE,
    other_base,
    patched,
)
from kbtf import BtfBuilder
from kbtf.testing import write_elf

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from cli.folders import Folder

BAD_BASES = {
    "empty": (b"", ""),
    "text": (b"no types in here\n", "no BTF"),
    "half a header": (BASE_BLOB[:20], "header"),
    "header only": (BASE_BLOB[:24], "past the end"),
    "last byte missing": (BASE_BLOB[:-1], "past the end"),
    # behind the header: INT of 16 bytes, STRUCT of 36, STRUCT of 12, PTR
    "name out of range": (patched(BASE_BLOB, 24, "<I", 999), "type [1]"),
    "kind out of range": (patched(BASE_BLOB, 28, "<I", 99 << 24), "kind 99"),
    "vlen out of range": (patched(BASE_BLOB, 44, "<I", 4 << 24 | 0xFFFF), "vlen 65535"),
    "type id out of range": (patched(BASE_BLOB, 96, "<I", 999), "type id 999"),
    "module": ((DEMO / "kfunc_module.ko").read_bytes(), "is a module, and its BTF is not a base"),
    "split BTF": (GOOD, "if this is the split BTF of a module, name the base"),
    "ELF without BTF": (write_elf({".text": b""}), "no section .BTF"),
    "corrupt xz": (lzma.compress(BASE_BLOB)[:-9], "xz"),
    "corrupt gzip": (gzip.compress(BASE_BLOB)[:-1], "gzip"),
    "corrupt zstd": (zstd.compress(BASE_BLOB)[:-1], "zstd"),
    "compressed text": (gzip.compress(b"no types in here\n" * 9), "no BTF"),
}


@pytest.mark.parametrize("case", BAD_BASES)
def test_what_is_no_base_is_refused(case: str, folder: Folder) -> None:
    data, words = BAD_BASES[case]
    folder.write("bad.btf", data)
    folder.write("distilled.base", DISTILLED.base.to_bytes())
    folder.write("distilled.split", DISTILLED.split.to_bytes())

    for command in (
        ("run", "--base", "bad.btf", "good.ko"),
        ("base", "bad.btf"),
        ("distill", "bad.btf", "good.ko", "out.base", "out.split"),
        ("relocate", "bad.btf", "distilled.base", "distilled.split", "out"),
    ):
        folder.refuses(*command, code=BAD_INPUT, names="bad.btf", says=words)


USERS_OF_A_BASE = {
    "run": ("run", "--base", "bad", "good.ko"),
    "base": ("base", "bad"),
    "distill": ("distill", "bad", "good.ko", "out.base", "out.split"),
}


@pytest.mark.parametrize("command", USERS_OF_A_BASE.values(), ids=USERS_OF_A_BASE)
def test_a_base_that_is_no_file_is_refused(command: tuple[str, ...], folder: Folder) -> None:
    folder.refuses(*command, code=BAD_INPUT, names="bad", says="no such file")
    (folder.path / "bad").mkdir()
    folder.refuses(*command, code=BAD_INPUT, names="bad", says="directory")
    (folder.path / "bad").rmdir()
    os.mkfifo(folder.path / "bad")
    folder.refuses(*command, code=BAD_INPUT, names="bad", says="not a regular file")


def test_a_kernel_of_which_nothing_is_installed_is_named(folder: Folder) -> None:
    folder.refuses("run", "good.ko", code=ENVIRONMENT, names=RELEASE)


def test_a_real_base_truncated_is_refused(folder: Folder) -> None:
    folder.write("kfunc_module.ko", (DEMO / "kfunc_module.ko").read_bytes())
    whole = lzma.decompress((DEMO / "vmlinux.btf.xz").read_bytes())
    for length in (23, 24, 4096, len(whole) // 2, len(whole) - 1):
        folder.write("cut.btf", whole[:length])
        folder.refuses(
            "run", "--base", "cut.btf", "kfunc_module.ko", code=BAD_INPUT, names="cut.btf"
        )


@pytest.mark.parametrize(
    "place", ["lib/modules/{}/vmlinux", "usr/src/linux-headers-{}/vmlinux", "boot/vmlinux-{}"]
)
def test_a_base_of_a_known_other_release_is_refused(place: str, folder: Folder) -> None:
    base = folder.write(place.format("6.12.1-other"), BASE_BLOB)

    folder.refuses(
        "run", "--base", base, "good.ko", code=BAD_INPUT, names="good.ko", says="6.12.1-other's"
    )
    right = folder.write(place.format(RELEASE), BASE_BLOB)
    assert folder.kbtf("run", "--base", right, "good.ko").code == 0


@pytest.mark.parametrize("case", ["fewer types", "shifted types", "a type more"])
def test_split_btf_that_does_not_fit_the_base_is_refused(case: str, folder: Folder) -> None:
    folder.write("other.btf", other_base(case).to_bytes())

    folder.refuses(
        "run", "--base", "other.btf", "good.ko",
        code=BAD_INPUT, names="good.ko", says="does not fit the base other.btf",
    )  # fmt: skip


def test_a_real_module_does_not_fit_a_base_that_changed(folder: Folder) -> None:
    folder.write("kfunc_module.ko", (DEMO / "kfunc_module.ko").read_bytes())
    builder = BtfBuilder(byte_order="little")
    builder.add_int("new type", 1)
    folder.write("other.btf", builder.to_bytes())

    folder.refuses(
        "run", "--base", "other.btf", "kfunc_module.ko",
        code=BAD_INPUT, names="kfunc_module.ko", says="does not fit the base other.btf",
    )  # fmt: skip


# A build directory


def test_a_base_that_is_passed_over_is_told(folder: Folder) -> None:
    folder.write("kdir/vmlinux", b"no kernel")
    folder.write("kdir/vmlinux.unstripped", BASE_BLOB)
    why = "passed over kdir/vmlinux: "

    ran = folder.kbtf("run", "-v", "-C", "kdir", "-o", "out.ko", "good.ko")
    listed = folder.kbtf("kfuncs", "-v", "-C", "kdir", "good.ko")
    shown = folder.kbtf("base", "-C", "kdir", "--release", RELEASE)

    assert why in ran.out
    assert why in listed.out
    assert [why in line for line in shown.errors] == [True]
    assert "kdir/vmlinux.unstripped" in shown.out


@pytest.mark.parametrize("command", [("run", "good.ko"), ("kfuncs", "good.ko"), ("base",)])
@pytest.mark.parametrize("base", [[], ["--base", "vmlinux.btf"]])
def test_a_build_directory_that_is_not_there_is_named(
    command: tuple[str, ...], base: list[str], folder: Folder
) -> None:
    if command != ("base",):
        command = (*command, *base)

    folder.refuses(*command, "-C", "kdir", code=BAD_INPUT, names="kdir", says="no such file")
