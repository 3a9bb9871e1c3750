# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""zstd where Python has no module for it: the system's library, beside that module."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import missing
from kbtf.errors import KbtfError, MachineError
from kbtf.files import libzstd
from kbtf.files.budget import Budget
from kbtf.files.codecs import codec_of
from kbtf.files.compression import compress, unpack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATA = Path(sys.executable).resolve().read_bytes()[:300_000] + bytes(1 << 20)
PACKED = zstd.compress(DATA)


@pytest.fixture(autouse=True)
def no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)


def test_the_library_takes_the_place_of_the_module() -> None:
    assert codec_of("zst") is libzstd


@pytest.mark.parametrize("seed", range(8))
def test_pieces_of_any_size_come_out_as_from_the_module(seed: int) -> None:
    chosen = random.Random(seed)  # noqa: S311 - no secret
    data = PACKED + chosen.randbytes(chosen.randrange(9))
    ours, theirs = libzstd.ZstdDecompressor(), zstd.ZstdDecompressor()
    parts, at = [], 0
    while not ours.eof:
        chunk = b""
        if ours.needs_input:
            size = chosen.choice([1, 7, 5000, len(data)])
            chunk, at = data[at : at + size], at + size
        most = chosen.choice([1000, 1 << 17, 1 << 22])
        parts.append(ours.decompress(chunk, most))
        assert len(parts[-1]) <= most
        if chunk:
            theirs.decompress(chunk)

    assert b"".join(parts) == DATA
    assert ours.unused_data == theirs.unused_data


def test_frames_are_joined_and_what_follows_is_left_alone() -> None:
    assert unpack(PACKED * 3 + b"\xff" * 8) == DATA * 3


def test_the_program_reads_what_is_compressed_here() -> None:
    if not shutil.which("zstd"):
        missing("zstd is not installed")
    packed = compress(DATA, "zst")

    done = subprocess.run(["zstd", "-dcq"], input=packed, capture_output=True, check=True)

    assert done.stdout == DATA
    assert packed[4] & 4, "the frame has a checksum, as the kernel's build makes it"


def test_damaged_data_are_refused() -> None:
    with pytest.raises(KbtfError, match="is truncated"):
        unpack(PACKED[:-1])
    with pytest.raises(KbtfError, match=r"cannot be decoded: .*checksum"):
        unpack(compress(DATA, "zst")[:-1] + b"x")
    with pytest.raises(KbtfError, match=r"cannot be decoded: .*memory|too much memory"):
        unpack(b"\x28\xb5\x2f\xfd" + b"\x00\xa8" + b"\x01\0\0")  # a window of 2 GiB


def test_data_that_grow_too_much_end_early() -> None:
    bomb = zstd.compress(bytes(1 << 28))

    with pytest.raises(KbtfError, match="unpacks to more than 1000000 bytes"):
        unpack(bomb, budget=Budget(1_000_000))


def test_a_machine_with_neither_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kbtf.files.libzstd", None)

    with pytest.raises(MachineError, match=r"zstd needs the Python module .*zstd"):
        unpack(PACKED)
