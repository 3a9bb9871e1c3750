# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Files made to be costly: time and memory follow from their size."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import resource
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import ElfError, ElfImage, Module
from kbtf.testing import make_base, write_elf

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

KBTF = str(Path(sys.executable).with_name("kbtf"))
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_SYMTAB_SHNDX = 1, 2, 3, 18
XINDEX = 0xFFFF


def elf(rows: list[tuple[int, ...]], *parts: bytes) -> bytes:
    """A relocatable file: header, *parts*, section headers; names are in section 1."""
    start = HEADER.size + sum(map(len, parts))
    ident = b"\x7fELF\2\1\1".ljust(16, b"\0")
    header = HEADER.pack(ident, 1, 62, 1, 0, 0, start, 0, HEADER.size, 0, 0, 64, len(rows), 1)
    return header + b"".join(parts) + b"".join(SECTION.pack(*row) for row in rows)


def test_one_long_string_for_the_names_of_all_sections_is_refused() -> None:
    strings = b"\0" + b"x" * 1_000_000 + b"\0"
    names = (0, SHT_STRTAB, 0, 0, HEADER.size, len(strings), 0, 0, 1, 0)
    others = [(1 + n, SHT_PROGBITS, *[0] * 8) for n in range(16_000)]
    data = elf([(0,) * 10, names, *others], strings)

    tracemalloc.start()
    try:
        with pytest.raises(ElfError, match="has no end within 4096 bytes"):
            ElfImage(data)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    finally:
        tracemalloc.stop()


def test_a_name_of_4096_bytes_is_read() -> None:
    name = "." + "x" * 4095

    assert ElfImage(write_elf({name: b"here"})).data(name) == b"here"


def test_the_table_of_extended_indexes_is_looked_for_once() -> None:
    """Else each of the symbols would cost a walk over all sections."""
    count = 20_000
    symbols = b"".join(SYMBOL.pack(0, 0, 0, XINDEX, n, 0) for n in range(count))
    numbers = struct.pack(f"<{count}I", *range(count))
    at = HEADER.size + 1
    rows = [
        (0,) * 10,
        (0, SHT_STRTAB, 0, 0, HEADER.size, 1, 0, 0, 1, 0),
        (0, SHT_SYMTAB, 0, 0, at, len(symbols), 1, 0, 8, SYMBOL.size),
        *[(0, SHT_PROGBITS, *[0] * 8)] * 20_000,
        (0, SHT_SYMTAB_SHNDX, 0, 0, at + len(symbols), len(numbers), 2, 0, 4, 4),
    ]
    image = ElfImage(elf(rows, b"\0", symbols, numbers))

    assert [symbol.shndx for symbol in image.symbols()] == list(range(count))


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
    "bz2": bz2.compress,
}
MOST_MEMORY = 400 << 10  # KiB of addresses, of which Python itself takes a tenth


def refusal(*args: str) -> str:
    """What kbtf says of a file that it refuses, and does with little memory."""
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("AddressSanitizer takes terabytes of addresses")
    limit = ["sh", "-c", f'ulimit -v {MOST_MEMORY}; exec "$@"', "sh"]
    done = subprocess.run([*limit, KBTF, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
def test_a_module_that_unpacks_to_far_too_much_is_refused(kind: str, run_dir: Path) -> None:
    packed = PACK[kind](bytes(64 << 20))
    Path(f"m.ko.{kind}").write_bytes(packed)
    Path("vmlinux.btf").write_bytes(make_base().to_bytes())

    said = refusal("run", "--base", "vmlinux.btf", f"m.ko.{kind}")

    assert said.startswith(f"kbtf: error: m.ko.{kind}: ")
    assert Path(f"m.ko.{kind}").read_bytes() == packed


@pytest.mark.parametrize("kind", PACK)
def test_a_kernel_that_unpacks_to_far_too_much_is_refused(kind: str, run_dir: Path) -> None:
    Path("vmlinuz").write_bytes(PACK[kind](bytes(64 << 20)))

    assert refusal("base", "vmlinuz").startswith("kbtf: error: vmlinuz: ")


@pytest.mark.parametrize(("head", "words"), [(b"", "is not an ELF file"), (b"\x7fELF", "larger")])
def test_a_huge_file_is_refused_before_it_is_read(head: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "m.ko"
    path.write_bytes(head)
    os.truncate(path, 3 << 30)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ElfError, match=words):
        Module.open(str(path))

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
