# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The modules of an initramfs: archives as cpio makes them, packed as distributions do."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import missing
from kbtf.errors import KbtfError
from kbtf.files.compression import compress
from kbtf.kernel.initramfs import early_modules
from kernel.archives import carried, cpio

if TYPE_CHECKING:
    from collections.abc import Callable

RELEASE = "6.12.0-1"
MODULES = {
    f"{RELEASE}/kernel/fs/a.ko": b"module a" * 1000,
    f"{RELEASE}/updates/dkms/b.ko.xz": b"module b",
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "zstd": lambda data: compress(data, "zst"),
}


def contents(folder: Path, prefix: str = "usr/lib/modules") -> bytes:
    files = {f"{prefix}/{name}": data for name, data in MODULES.items()}
    return cpio(folder, {**files, "bin/sh": b"shell" * 5000, "init": b"#!/bin/sh\n"})


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("prefix", ["usr/lib/modules", "lib/modules"])
def test_modules_are_found_however_the_image_is_packed(
    packer: str, prefix: str, tmp_path: Path
) -> None:
    image = tmp_path / "initrd"
    image.write_bytes(PACKERS[packer](contents(tmp_path / "files", prefix)))
    assert carried(image) == MODULES


def test_an_early_archive_with_microcode_comes_first(tmp_path: Path) -> None:
    early = cpio(tmp_path / "early", {"kernel/x86/microcode/GenuineIntel.bin": b"\1" * 3001})
    image = tmp_path / "initrd"
    image.write_bytes(early + bytes(512) + compress(contents(tmp_path / "files"), "zst"))
    assert carried(image) == MODULES


def test_archives_joined_inside_one_stream_are_all_read(tmp_path: Path) -> None:
    first = cpio(tmp_path / "first", {f"lib/modules/{RELEASE}/kernel/c.ko": b"module c"})
    image = tmp_path / "initrd"
    image.write_bytes(gzip.compress(first + contents(tmp_path / "files")))
    assert carried(image) == {f"{RELEASE}/kernel/c.ko": b"module c", **MODULES}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-600], "truncated"),
        (lambda data: data[:20] + b"-" + data[21:], "not hexadecimal"),
        (lambda data: data.replace(b"070701", b"070709"), "is not a cpio archive"),
        (lambda data: data[:94] + b"FFFFFFFF" + data[102:], "a name of 4294967295 bytes"),
        (lambda data: b"\x7fELF" + data, "is not a cpio archive"),
    ],
    ids=["truncated", "sign", "magic", "name", "foreign"],
)
def test_what_is_damaged_is_one_line(
    damage: Callable[[bytes], bytes], said: str, tmp_path: Path
) -> None:
    image = tmp_path / "initrd"
    image.write_bytes(damage(contents(tmp_path / "files")))
    with pytest.raises(KbtfError, match=said) as raised:
        list(early_modules(str(image)))
    assert raised.value.file == str(image)


@pytest.mark.integration
def test_the_initramfs_of_this_machine_has_what_lsinitramfs_lists() -> None:
    images = sorted(Path("/boot").glob("initrd.img-*"))
    if not images or not shutil.which("lsinitramfs"):
        missing("no initramfs of initramfs-tools on this machine")
    listed = subprocess.run(["lsinitramfs", images[0]], capture_output=True, text=True, check=True)
    names = {line for line in listed.stdout.splitlines() if line.endswith((".ko", ".ko.xz"))}
    assert {f"usr/lib/modules/{path}" for path in carried(images[0])} == names


def entry(name: bytes, size: int, mode: int = 0o100644) -> bytes:
    """A header as cpio writes it, without what follows the name."""
    fields = [0] * 13
    fields[1], fields[6], fields[11] = mode, size, len(name) + 1
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
    return head + bytes(-len(head) % 4)


HOSTILE = {
    "very much nothing": lzma.compress(entry(b"zeros", 1 << 31) + bytes(1 << 28)),
    "zeros only": lzma.compress(bytes(1 << 28)),
    "very many archives": gzip.compress(entry(b"TRAILER!!!", 0)) * 10_000,
    "many that are large": gzip.compress(entry(b"z", 1 << 20) + bytes(1 << 20)) * 500,
    "an endless module": entry(b"lib/modules/1/kernel/a.ko", (1 << 32) - 1) + b"x" * 1000,
    "a large module": entry(b"lib/modules/1/kernel/a.ko", 500 << 20) + b"x" * 1000,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_small_image_takes_little(case: str, tmp_path: Path) -> None:
    image = tmp_path / "initrd"
    image.write_bytes(HOSTILE[case])
    assert image.stat().st_size < 1 << 20

    began = time.process_time()
    with suppress(KbtfError):
        assert all(len(module.data) < 1 << 20 for module in early_modules(str(image)))

    assert time.process_time() - began < 5


@pytest.mark.parametrize("mode", [0o120777, 0o010644, 0o020666, 0o040755])
def test_what_is_no_file_is_no_module(mode: int, tmp_path: Path) -> None:
    image = tmp_path / "initrd"
    link = entry(b"lib/modules/1/weak-updates/a.ko", 20, mode) + b"../../2/kernel/a.ko\0"
    module = entry(b"lib/modules/1/kernel/b.ko", 4) + b"data"
    image.write_bytes(link + module + entry(b"TRAILER!!!", 0))
    assert carried(image) == {"1/kernel/b.ko": b"data"}
