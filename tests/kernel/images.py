# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Images of kernels in every form, made here."""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.elf.elffile import ELFFile

from kbtf import BtfBuilder, Kind
from kbtf.files.compression import compress
from kbtf.testing import write_elf

if TYPE_CHECKING:
    from collections.abc import Callable

ET_EXEC = 2
RELEASE = "6.1.0-9-test"
BANNER = f"\0Linux version %s (%s)\0Linux version {RELEASE} (me@host) #1 SMP\n\0".encode()


def make_btf(byte_order: str = "little", types: int = 1500) -> bytes:
    b = BtfBuilder(byte_order=byte_order)
    integer = b.add_int("int", 4, encoding=1)
    for number in range(types):
        b.add_composite(Kind.STRUCT, f"s{number}", 4, [("member", integer, 0)])
    return b.to_bytes()


BLOB = make_btf()


def with_layout(blob: bytes) -> bytes:
    """The same BTF with the header that kernel 7.1 writes."""
    order = "<" if blob[0] == 0x9F else ">"
    _, type_off, type_len, str_off, str_len = struct.unpack_from(f"{order}5I", blob, 4)
    layout = bytes(8)
    sizes = (32, type_off, type_len, str_off + len(layout), str_len, str_off, len(layout))
    body = blob[24 : 24 + str_off] + layout + blob[24 + str_off :]
    return blob[:4] + struct.pack(f"{order}7I", *sizes) + body


def flat(blob: bytes = BLOB) -> bytes:
    """Memory as it was linked: code, what looks like BTF, BTF of a small program, BTF, more."""
    code = Path(sys.executable).resolve().read_bytes()[4096:50_000]
    magic = blob[:4]
    return b"".join((code, magic * 9, make_btf(types=300), b"\0", blob, code, BANNER, magic))


def elf(blob: bytes = BLOB, bits: int = 64, byte_order: str = "little") -> bytes:
    sections = {".text": bytes(5000), ".rodata": BANNER, "__ksymtab": b"", ".BTF": blob}
    return write_elf(sections, bits=bits, byte_order=byte_order, elf_type=ET_EXEC)


def lz4_legacy(data: bytes) -> bytes:
    block: bytes = import_module("lz4.block").compress(data, store_size=False)
    return b"\x02\x21\x4c\x18" + len(block).to_bytes(4, "little") + block


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: compress(data, "gz"),
    "xz": lambda data: compress(data, "xz"),
    "zstd": lambda data: compress(data, "zst"),
    "bzip2": bz2.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "lz4": lz4_legacy,
}
EACH_PACKER = pytest.mark.parametrize("packer", PACKERS)
ORDERS = pytest.mark.parametrize("byte_order", ["little", "big"])


def bzimage(payload: bytes, release: str = RELEASE, version: int = 0x20F) -> bytes:
    """As Documentation/arch/x86/boot.rst describes it."""
    sectors, before = 3, 700
    head = bytearray((sectors + 1) * 512)
    head[:2] = b"MZ"
    head[0x1F1] = sectors
    head[0x1FE:0x206] = b"\x55\xaaXXHdrS"
    struct.pack_into("<H", head, 0x206, version)
    struct.pack_into("<H", head, 0x20E, 0x300)
    struct.pack_into("<II", head, 0x248, before, len(payload))
    text = f"{release} (me@host) #1 SMP\0".encode()
    head[0x500 : 0x500 + len(text)] = text
    return bytes(head) + b"\x90" * before + payload + b"signature" * 9


def zboot(payload: bytes, name: bytes = b"gzip") -> bytes:
    """As drivers/firmware/efi/libstub/zboot-header.S describes it."""
    head = struct.pack("<4s4sII8x32s", b"MZ\0\0", b"zimg", 512, len(payload), name)
    return head.ljust(512, b"\0") + payload + b"\x12\x34\0\0" + b"PE" * 100


def read_with_pyelftools(image: bytes) -> bytes:
    section = ELFFile(io.BytesIO(image)).get_section_by_name(".BTF")
    assert section is not None
    data: bytes = section.data()
    return data
