# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Unified kernel images, as objcopy adds the initramfs to an EFI program."""

from __future__ import annotations

import gzip
import subprocess
from typing import TYPE_CHECKING

import pytest

from conftest import or_missing
from kbtf.check.machine.installed import installed_kernels
from kbtf.errors import KbtfError
from kbtf.files.compression import compress
from kbtf.kernel.initramfs import early_modules
from kernel.archives import carried, cpio
from oracles import build as oracles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RELEASE = "6.12.0-1"
NAME = f"{RELEASE}/kernel/fs/a.ko.zst"
DATA = b"module a" * 700


def archive(folder: Path) -> bytes:
    """Microcode, then the modules: compressed, behind zeros."""
    early = cpio(folder / "early", {"kernel/x86/microcode/GenuineIntel.bin": b"\1" * 3001})
    main = cpio(folder / "main", {f"usr/lib/modules/{NAME}": DATA, "init": b"#!/bin/sh\n"})
    return early + bytes(512) + compress(main, "zst")


def unified(folder: Path, initrd: bytes | None) -> Path:
    """An EFI program with *initrd* in its section, and others around it."""
    with or_missing():
        oracles.need("gcc", "objcopy")
    (folder / "stub.c").write_text('int x = 1; const char text[] = "cmdline";\n')
    subprocess.run(["gcc", "-c", "stub.c"], cwd=folder, check=True)
    sections = {".uname": RELEASE.encode(), ".initrd": initrd, ".linux": b"kernel" * 99}
    subprocess.run(["objcopy", "-O", "pei-x86-64", "stub.o", "stub.efi"], cwd=folder, check=True)
    command = ["objcopy"]
    for number, (name, data) in enumerate(sections.items(), 1):
        if data is not None:
            (folder / name).write_bytes(data)
            command += ["--add-section", f"{name}={name}"]
            command += ["--change-section-vma", f"{name}={number << 24:#x}"]
    subprocess.run([*command, "stub.efi", "image.efi"], cwd=folder, check=True)
    return folder / "image.efi"


def test_the_modules_in_its_section_are_found(tmp_path: Path) -> None:
    image = unified(tmp_path, archive(tmp_path))
    assert carried(image) == {NAME: DATA}


def test_an_archive_that_is_not_compressed_ends_with_the_section(tmp_path: Path) -> None:
    main = cpio(tmp_path / "main", {f"lib/modules/{NAME}": DATA})
    image = unified(tmp_path, main)
    assert carried(image) == {NAME: DATA}


def _pe(image: bytes) -> int:
    return int.from_bytes(image[0x3C:0x40], "little")


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no header": (lambda image: image[:0x3C] + b"\xff\xff\xff\x7f" + image[0x40:], "no PE header"),
    "cut in the header": (lambda image: image[: _pe(image) + 8], "no PE header"),
    "cut in the table": (lambda image: image[: _pe(image) + 24 + 60], "section table"),
    "cut in a section": (lambda image: image[: image.index(b"070701") + 200], "past the end"),
    "short": (lambda image: image[:10], "no PE header"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_what_is_damaged_is_one_line(case: str, tmp_path: Path) -> None:
    damage, said = DAMAGES[case]
    image = unified(tmp_path, archive(tmp_path))
    image.write_bytes(damage(image.read_bytes()))
    with pytest.raises(KbtfError, match=said) as raised:
        list(early_modules(str(image)))
    assert raised.value.file == str(image)


def test_one_without_an_initramfs_says_so(tmp_path: Path) -> None:
    with pytest.raises(KbtfError, match=r"has no section \.initrd"):
        list(early_modules(str(unified(tmp_path, None))))


@pytest.mark.parametrize(
    ("place", "is_arch"),
    [
        (f"boot/efi/EFI/Linux/0123abcd-{RELEASE}.efi", False),
        (f"efi/EFI/Linux/0123abcd-{RELEASE}+2-1.efi", False),
        (f"boot/EFI/Linux/{RELEASE}.efi", False),
        ("efi/EFI/Linux/arch-linux-lts.efi", True),
        ("boot/initramfs-linux-lts.img", True),
        (f"boot/initramfs-{RELEASE}.img", False),
        (f"boot/0123abcd/{RELEASE}/initrd", False),
    ],
)
def test_it_is_found_where_distributions_put_it(place: str, is_arch: bool, tmp_path: Path) -> None:
    (tmp_path / "usr/lib/modules" / RELEASE / "kernel").mkdir(parents=True)
    if is_arch:
        (tmp_path / "usr/lib/modules" / RELEASE / "pkgbase").write_text("linux-lts\n")
    image = tmp_path / place
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(gzip.compress(b""))
    (tmp_path / "boot").mkdir(exist_ok=True)
    (tmp_path / f"boot/initramfs-{RELEASE}9.img").write_bytes(b"of another kernel")
    (kernel,) = installed_kernels(str(tmp_path))
    assert kernel.initramfs == str(image)
