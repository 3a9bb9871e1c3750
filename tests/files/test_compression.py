# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Unpacking what the real tools packed, and refusing what is damaged or meant to do damage."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import missing
from kbtf.errors import KbtfError, MachineError
from kbtf.files.budget import Budget, memory_limit, output_limit
from kbtf.files.compression import compress, unpack
from kbtf.files.formats import MAGICS, recognise
from kbtf.kernel.base import open_base

# As scripts/Makefile.lib and scripts/Makefile.modinst call them.
COMMANDS = {
    "gzip": ("gz", "gzip -n -9"),
    "xz": ("xz", "xz"),
    "xz for modules": ("xz", "xz --check=crc32 --lzma2=dict=1MiB"),
    "xz for x86": ("xz", "xz --check=crc32 --x86 --lzma2=dict=32MiB"),
    "zstd": ("zst", "zstd -q -c -3"),
    "zstd for kernels": ("zst", "zstd -q -c -22 --ultra"),
    "bzip2": ("bz2", "bzip2 -9"),
    "lzma": ("lzma", "lzma -9"),
    "lz4": ("lz4", "lz4 -q -l -9 - -"),
}
EACH = pytest.mark.parametrize("name", COMMANDS)
EACH_KIND = pytest.mark.parametrize("name", ["gzip", "xz", "zstd", "bzip2", "lzma", "lz4"])
CODE = Path(sys.executable).resolve().read_bytes()[:300_000]


def run(command: str, data: bytes) -> bytes:
    words = command.split()
    if not shutil.which(words[0]):
        missing(f"{words[0]} is not installed")
    return subprocess.run(words, input=data, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def packed() -> dict[str, bytes]:
    return {}


def pack(name: str, cache: dict[str, bytes], data: bytes = CODE) -> bytes:
    if data is not CODE:
        return run(COMMANDS[name][1], data)
    if name not in cache:
        cache[name] = run(COMMANDS[name][1], CODE)
    return cache[name]


@EACH
def test_what_the_tools_pack_is_recognised_and_unpacked(
    name: str, packed: dict[str, bytes]
) -> None:
    data = pack(name, packed)

    assert recognise(data) == COMMANDS[name][0]
    assert unpack(data) == CODE


@EACH_KIND
def test_several_blocks(name: str) -> None:
    much = CODE * 32  # more than a block of lz4 and of bzip2 holds

    assert unpack(run(COMMANDS[name][1], much)) == much


@EACH
@pytest.mark.parametrize("behind", [b"", b"\xff" * 1000, b"\0" * 7], ids=["size", "ff", "zeros"])
def test_what_follows_is_left_alone(name: str, behind: bytes, packed: dict[str, bytes]) -> None:
    size = len(CODE).to_bytes(4, "little")

    assert unpack(pack(name, packed) + size + behind) == CODE


@EACH
def test_part_of_a_file(name: str, packed: dict[str, bytes]) -> None:
    data = pack(name, packed)
    file = b"\x1f\x8b\x08" + data + data

    assert recognise(file, 3) == COMMANDS[name][0]
    assert unpack(file, 3, 3 + len(data)) == CODE


@EACH
def test_joined_streams_are_one(name: str, packed: dict[str, bytes]) -> None:
    assert unpack(pack(name, packed) * 3) == CODE * 3


@EACH
def test_truncated_anywhere_is_said(name: str, packed: dict[str, bytes]) -> None:
    data = pack(name, packed)
    # a legacy frame of lz4 has no end that could be missing: only its blocks have
    first = 16 if name == "lz4" else len(MAGICS[COMMANDS[name][0]]) + 10
    for end in {*range(first, len(data), len(data) // 40), len(data) - 1}:
        with pytest.raises(KbtfError, match=r"truncated|decoded"):
            unpack(data[:end])


@EACH
def test_damage_gives_an_error_of_ours_or_other_bytes(name: str, packed: dict[str, bytes]) -> None:
    data = pack(name, packed)
    for at in range(16, len(data), len(data) // 100):
        damaged = bytearray(data)
        damaged[at] ^= 0x55
        try:
            unpack(bytes(damaged))
        except KbtfError as error:
            assert "data at offset 0x0" in str(error)  # noqa: PT017 - most damage is noticed


@EACH_KIND
def test_a_bomb_is_stopped(name: str) -> None:
    bomb = run(COMMANDS[name][1], bytes(24 << 20))

    with pytest.raises(KbtfError, match=r"unpacks to more than \d+ bytes"):
        unpack(bomb)


def test_the_limit_leaves_room_for_kernels_and_is_never_above_a_gigabyte() -> None:
    assert output_limit(10) > 1 << 20
    assert output_limit(12 << 20) > 500 << 20
    assert output_limit(1 << 40) == 1 << 30


@pytest.mark.parametrize(
    ("packed", "size"),
    [(45_072, 4_933_135), (13_324, 314_726), (308_748, 2_541_182), (4_054_136, 29_305_335)],
    ids=["test_bpf", "ni_routing", "nfsv4", "amdgpu"],
)
def test_the_limit_in_memory_leaves_room_for_real_modules(packed: int, size: int) -> None:
    assert memory_limit(packed) > 1.5 * size
    assert memory_limit(1_000_000) < 25 << 20


def test_a_budget_lasts_over_several_tries() -> None:
    data = compress(bytes(100_000), "gz")
    budget = Budget(250_000)

    assert unpack(data, budget=budget) == unpack(data, budget=budget) == bytes(100_000)
    with pytest.raises(KbtfError, match="more than 250000"):
        unpack(data, budget=budget)


def test_too_many_joined_streams() -> None:
    with pytest.raises(KbtfError, match="more than 1024 streams"):
        unpack(compress(b"", "gz") * 1025, budget=Budget(1 << 30))


@pytest.mark.parametrize(
    "data",
    [
        b"\x28\xb5\x2f\xfd" + b"\x00\xa8" + b"\x01\0\0",  # zstd, a window of 2 GiB
        b"\x5d" + (1 << 31).to_bytes(4, "little") + b"\xff" * 8 + bytes(100),  # lzma, likewise
        lzma.compress(
            b"x", filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
        ).replace(b"\x21\x01\x10", b"\x21\x01\x28"),  # xz, 4 GiB
    ],
    ids=["zstd", "lzma", "xz"],
)
def test_memory_that_data_ask_for_is_not_given(data: bytes) -> None:
    assert recognise(data)
    with pytest.raises(KbtfError, match="decoded"):
        unpack(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF" + bytes(100),
        b"\x1f\x8b",
        b"\x1f\x8b\x08\xff" + bytes(20),
        b"BZhello, this is text",
        b"\x5d\0\0" + bytes(20),
        b"\x5d\0\0\x80\0" + b"\x12" * 8,
    ],
)
def test_other_data_are_not_taken_for_compressed(data: bytes) -> None:
    assert recognise(data) is None
    with pytest.raises(KbtfError, match="not compressed in a known format"):
        unpack(data)


def test_lzo_is_refused_by_name() -> None:
    data = b"\x89LZO\0\r\n\x1a\n" + bytes(50)

    assert recognise(data) == "lzo"
    with pytest.raises(MachineError, match=r"LZO is not supported; .*lzop"):
        unpack(data)


def test_lz4_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4.block", None)
    with pytest.raises(MachineError, match="pip install lz4"):
        unpack(MAGICS["lz4"] + bytes(20))


@pytest.mark.parametrize(
    ("kind", "command"), [("gz", "gzip -dc"), ("xz", "xz -dc"), ("zst", "zstd -dcq")]
)
def test_what_is_compressed_the_tools_unpack(kind: str, command: str) -> None:
    data = compress(CODE, kind)

    assert recognise(data) == kind
    assert data == compress(CODE, kind)
    assert unpack(data) == CODE
    assert run(command, data) == CODE


def test_gzip_keeps_no_name_and_no_time() -> None:
    assert compress(CODE, "gz")[:10] == run("gzip -n -9", CODE)[:10]


def test_xz_is_what_the_kernel_unpacks(tmp_path: Path) -> None:
    file = tmp_path / "m.ko.xz"
    file.write_bytes(compress(CODE, "xz"))
    said = run(f"xz --robot -lvv {file}", b"").decode()

    assert "CRC32" in said
    assert "--lzma2=dict=1MiB" in said


@pytest.mark.parametrize("kind", ["bz2", "lzma", "lz4", "lzo", "zip"])
def test_modules_are_not_compressed_otherwise(kind: str) -> None:
    with pytest.raises(KbtfError, match="modules are not compressed"):
        compress(b"", kind)


def test_the_plain_codecs_agree() -> None:
    assert unpack(bz2.compress(CODE)) == CODE
    assert unpack(lzma.compress(CODE, format=lzma.FORMAT_ALONE)) == CODE


HOSTILE = {
    "magics of lz4": MAGICS["lz4"] * 250_000,
    "magics of lz4 behind a byte": b"x" + MAGICS["lz4"] * 250_000,
    "empty blocks of lz4": MAGICS["lz4"] + b"\1\0\0\0\0" * 200_000,
    "empty blocks of lz4 behind a byte": b"x" + MAGICS["lz4"] + b"\1\0\0\0\0" * 200_000,
    "small blocks of lz4": b"x" + (MAGICS["lz4"] + b"\2\0\0\0\x10a" * 4) * 30_000,
    "empty streams of gzip": b"x" + gzip.compress(b"") * 50_000,
    "empty streams of xz": b"x" + lzma.compress(b"") * 30_000,
    "magics of xz": b"x" + MAGICS["xz"] * 170_000,
    "magics of zstd": b"x" + MAGICS["zst"] * 250_000,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_only_beginnings_takes_no_time(case: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(HOSTILE[case])

    began = time.process_time()
    with pytest.raises(KbtfError):
        open_base(str(path), cache=False)

    assert time.process_time() - began < 5
