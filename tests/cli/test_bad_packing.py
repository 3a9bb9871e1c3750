# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Signed and compressed modules that are refused: in one line, and every file as it was."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import sys
from typing import TYPE_CHECKING

import pytest

from cli.folders import BAD_INPUT, GOOD, RUN, patched

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.folders import Folder


def signature(length: int, data: bytes = b"PKCS#7!") -> bytes:
    # struct module_signature: algo, hash, id_type, two lengths, padding, sig_len
    info = struct.pack(">5B3xI", 0, 0, 2, 0, 0, length)
    return data + info + b"~Module signature appended~\n"


def test_a_signed_module_is_refused(folder: Folder) -> None:
    folder.write("bad.ko", GOOD + signature(7))

    folder.refuses(*RUN, "bad.ko", code=BAD_INPUT, names="bad.ko", says="--strip-signature")


BAD_SIGNATURES = {
    "longer than the file": GOOD + signature(2**32 - 1),
    "longer than what precedes it": GOOD + signature(len(GOOD) + 8),
    "the whole file": GOOD + signature(len(GOOD) + 7),
    "only its end": b"~Module signature appended~\n",
    "only a signature": signature(7),
}


@pytest.mark.parametrize("option", [(), ("--strip-signature",)], ids=["kept", "stripped"])
def test_a_malformed_signature_is_refused(option: tuple[str, ...], folder: Folder) -> None:
    cases = {case: (data, "") for case, data in BAD_SIGNATURES.items()}

    folder.refuses_all(folder.write_all(cases), *RUN, *option)


PACKED = {
    "gz": gzip.compress(GOOD, mtime=0),
    "xz": lzma.compress(GOOD, check=lzma.CHECK_CRC32),
    "zst": zstd.compress(GOOD, options={zstd.CompressionParameter.checksum_flag: 1}),
}


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}


def test_a_corrupt_compressed_module_is_refused(folder: Folder) -> None:
    cases: dict[str, tuple[bytes, str]] = {}
    for kind, data in PACKED.items():
        middle = len(data) // 2
        cases |= {
            f"{kind} without its last byte": (data[:-1], "truncated"),
            f"{kind} without its second half": (data[:middle], "truncated"),
            f"{kind} that ends with its magic": (data[:6], "truncated"),
            f"{kind} with another byte": (patched(data, middle, "B", data[middle] ^ 0xFF), ""),
            f"{kind} of a text": (PACK[kind](b"no module"), "not an ELF file"),
            f"{kind} of nothing": (PACK[kind](b""), "unpacks to nothing"),
            f"{kind} of half a module": (PACK[kind](GOOD[:-1]), "past the end"),
        }

    folder.refuses_all(folder.write_all(cases), *RUN)


def test_a_module_in_a_compression_that_modules_have_not_is_refused(folder: Folder) -> None:
    cases = {
        "bzip2": (bz2.compress(GOOD), "bzip2"),
        "lzma": (lzma.compress(GOOD, format=lzma.FORMAT_ALONE), "lzma"),
    }

    folder.refuses_all(folder.write_all(cases), *RUN)


@pytest.mark.parametrize("kind", PACKED)
def test_what_follows_the_compressed_module_does_not_get_lost(kind: str, folder: Folder) -> None:
    # xz and zstd refuse such a file; gzip warns and exits with 2
    signed_afterwards = folder.write("signed.ko", PACKED[kind] + signature(7))
    tail = folder.write("tail.ko", PACKED[kind] + b"tail")

    folder.refuses_all({signed_afterwards: "", tail: ""}, *RUN)
