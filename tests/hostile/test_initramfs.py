# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whatever a small initramfs holds, `kbtf status` ends soon, in little memory, in words."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from typing import TYPE_CHECKING

import pytest

from hostile.cost import run
from hostile.shapes import as_split
from kbtf.files.compression import compress
from kbtf.testing import make_base, make_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RELEASE = "6.12.0-test"
PLACE = f"lib/modules/{RELEASE}/kernel"
BASE = make_base().build()
MODULE = make_module(btf=as_split("doubling", BASE.end_id, BASE.end_str), release=RELEASE)
REGULAR, LINK, DEVICE, FIFO, FOLDER = 0o100644, 0o120777, 0o020666, 0o010644, 0o040755


def member(
    name: str, data: bytes = b"", mode: int = REGULAR, *, size: int | None = None, **fields: int
) -> bytes:
    """An entry of a cpio archive as its header describes it, true or not."""
    raw = name.encode() + b"\0"
    row = {
        "ino": 1, "mode": mode, "uid": 0, "gid": 0, "nlink": 1, "mtime": 0,
        "size": len(data) if size is None else size, "devmajor": 0, "devminor": 0,
        "rdevmajor": 0, "rdevminor": 0, "namesize": len(raw), "check": 0,
    } | fields  # fmt: skip
    head = b"070701" + b"".join(b"%08X" % value for value in row.values()) + raw
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)


END = member("TRAILER!!!")


def modules(data: bytes, count: int, suffix: str = "") -> bytes:
    """The same module under very many names."""
    return b"".join(member(f"{PLACE}/m{n}.ko{suffix}", data) for n in range(count)) + END


def costly(count: int) -> bytes:
    """Modules whose BTF costs as much as it can."""
    return modules(SHAPE, count)


SHAPE = make_module(btf=as_split("structs of one name", BASE.end_id, BASE.end_str), release=RELEASE)


def program_with(*sections: tuple[bytes, int, int, int], count: int | None = None) -> bytes:
    """An EFI program with sections of (name, size in memory, size and offset in the file)."""
    rows = b"".join(struct.pack("<8sI4xII16x", *section) for section in sections)
    number = len(sections) if count is None else count
    header = struct.pack("<4s2xH12xH2x", b"PE\0\0", number, 0)
    return b"MZ" + bytes(58) + struct.pack("<I", 64) + header + rows + bytes(4096)


SHAPES: dict[str, Callable[[], bytes]] = {
    "names that are huge": lambda: member("x", namesize=0xFFFFFFFF) + END,
    "names that are as long as can be": lambda: member("x" * 4095) * 200 + END,
    "a file that is huge": lambda: member(f"{PLACE}/a.ko", size=0xFFFFFFFF) + END,
    "a file that is large": lambda: member(f"{PLACE}/a.ko", size=511 << 20) + END,
    "hard links": lambda: (
        b"".join(member(f"{PLACE}/a{n}.ko", nlink=9999, ino=7) for n in range(5_000))
        + member(f"{PLACE}/a.ko", MODULE, nlink=9999, ino=7)
        + END
    ),
    "symbolic links": lambda: (
        b"".join(member(f"{PLACE}/a{n}.ko", b"../../../../etc/passwd", LINK) for n in range(4_000))
        + END
    ),
    "paths that lead out": lambda: (
        b"".join(
            member(f"lib/modules/{way}{RELEASE}/kernel/a.ko", MODULE)
            for way in ("../", "../../../", "/", "./", "x/../")
        )
        + member(f"/{PLACE}/b.ko", MODULE)
        + member(f"{PLACE}/../../../../etc/c.ko", MODULE)
        + END
    ),
    "devices and FIFOs": lambda: (
        member(f"{PLACE}/a.ko", b"", DEVICE, rdevmajor=1, rdevminor=5)
        + member(f"{PLACE}/b.ko", b"", FIFO)
        + member(f"{PLACE}/c.ko", b"", FOLDER)
        + END
    ),
    "control characters": lambda: member(f"{PLACE}/\x1b[2J\r\nnot ok.ko", MODULE) + END,
    "archives in turn": lambda: END * 8_000,
    "archives with zeros between": lambda: (END + bytes(512)) * 1_500,
    "compressed archives in turn": lambda: gzip.compress(END) * 12_000,
    "archives of every kind in turn": lambda: (
        b"".join(pack(END) for pack in (gzip.compress, lzma.compress, bz2.compress, zstd)) * 900
    ),
    "one entry very often": lambda: member("a") * 8_000,
    "empty modules": lambda: modules(b"x", 6_000),
    "empty modules, packed": lambda: zstd(modules(b"x", 10_000) * 20),
    "one module very often": lambda: filled(zstd(modules(MODULE, 2_000) * 10)),
    "one name very often": lambda: filled(zstd(member(f"{PLACE}/a.ko", MODULE) * 20_000 + END)),
    "costly modules, packed": lambda: filled(zstd(costly(70))),
    "modules that are bombs": lambda: modules(lzma.compress(bytes(8 << 20)), 400, ".xz"),
    "modules that are bombs, packed": lambda: zstd(modules(compress(bytes(16 << 20), "gz"), 4_000)),
    "zeros, gzip": lambda: gzip.compress(bytes(32 << 20)) * 6,
    "zeros, xz": lambda: lzma.compress(bytes(64 << 20), preset=0) * 4,
    "zeros, zstd": lambda: filled(zstd(bytes(256 << 20))),
    "an endless entry, packed": lambda: filled(zstd(member("z", size=0xFFFFFFFF) + bytes(1 << 27))),
    "one large module, packed": lambda: filled(zstd(member(f"{PLACE}/a.ko", bytes(70 << 20)))),
    "beginnings of lz4": lambda: b"\x02\x21\x4c\x18" * 245_000,
    "empty blocks of lz4": lambda: b"\x02\x21\x4c\x18" + b"\1\0\0\0\0" * 190_000,
    "beginnings of zstd": lambda: b"\x28\xb5\x2f\xfd" * 245_000,
    "a compressed archive that ends early": lambda: zstd(modules(MODULE, 100))[:-9],
    "nothing but zeros": lambda: bytes(900_000),
    "an EFI program of too many sections": lambda: program_with(count=0xFFFF),
    "an EFI program of very many sections": lambda: program_with(
        *[(b".x", 9, 9, 64)] * 20_000, (b".initrd", 0xFFFFFFFF, 0xFFFFFFFF, 64)
    ),
    "an EFI program that is its own initramfs": lambda: program_with((b".initrd", 64, 64, 0)),
    "an EFI program with an empty initramfs": lambda: program_with((b".initrd", 0, 9, 0xFFFFFFF0)),
    "an EFI header at the end": lambda: b"MZ" + bytes(58) + b"\xfc\xff\xff\xff",
}


def filled(packed: bytes) -> bytes:
    """As large as may be, so that as much may be unpacked, in front of what is packed."""
    return member("filling", b"x" * (980_000 - len(packed))) + END + packed


def zstd(data: bytes) -> bytes:
    return compress(data, "zst")


@pytest.mark.integration
@pytest.mark.parametrize("shape", SHAPES)
def test_the_copies_in_an_initramfs_are_bounded(shape: str, tmp_path: Path) -> None:
    data = SHAPES[shape]()
    assert len(data) < 1_000_000
    (tmp_path / PLACE).mkdir(parents=True)
    (tmp_path / "lib/modules" / RELEASE / "vmlinux").write_bytes(BASE.to_bytes())
    (tmp_path / "boot").mkdir()
    (tmp_path / f"boot/initrd.img-{RELEASE}").write_bytes(data)

    cost = run(["status", "--root", ".", "--no-cache"], tmp_path)

    assert [*cost.mistakes()] == []
