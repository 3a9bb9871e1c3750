# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Find the kernel in a kernel image: by its boot header, or by search.

Sources: Documentation/arch/x86/boot.rst and drivers/firmware/efi/libstub/zboot-header.S of the
kernel.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from kbtf.errors import BaseError
from kbtf.files.formats import MAGICS, recognise
from kbtf.say import counted_is

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

_SECTOR = 512
_PAYLOAD_SINCE = 0x208  # version of the boot protocol
_MAX_HITS = 1 << 16
_TRUNCATED = "the file is truncated"


class Payload(NamedTuple):
    """Compressed data in a file."""

    kind: str
    offset: int
    end: int


def known_payload(data: mmap.mmap | bytes) -> Payload | None:
    """The payload that the file's headers name, or the whole file if it is compressed; else None.

    BaseError if a header contradicts the file.
    """
    kind = recognise(data)
    if kind is not None:
        return Payload(kind, 0, len(data))
    if data[:2] == b"MZ" and data[4:8] == b"zimg":
        return _zboot_payload(data)
    if data[0x202:0x206] == b"HdrS" and data[0x1FE:0x200] == b"\x55\xaa":
        return _x86_payload(data)
    return None


def _x86_payload(data: mmap.mmap | bytes) -> Payload | None:
    if len(data) < 0x250:
        raise BaseError(
            f"{counted_is(len(data), 'byte')} too few", where="boot header", hint=_TRUNCATED
        )
    if struct.unpack("<H", data[0x206:0x208])[0] < _PAYLOAD_SINCE:
        return None
    sectors = data[0x1F1] or 4
    offset, length = struct.unpack("<II", data[0x248:0x250])
    return _checked(data, (sectors + 1) * _SECTOR + offset, length, "boot header")


def _zboot_payload(data: mmap.mmap | bytes) -> Payload:
    if len(data) < 64:
        raise BaseError(
            f"{counted_is(len(data), 'byte')} too few", where="zboot header", hint=_TRUNCATED
        )
    offset, length = struct.unpack("<II", data[8:16])
    name = data[24:56].partition(b"\0")[0].decode("ascii", "backslashreplace")
    return _checked(data, offset, length, "zboot header", f" ({name})")


def _checked(
    data: mmap.mmap | bytes, offset: int, length: int, where: str, name: str = ""
) -> Payload:
    if offset + length > len(data):
        raise BaseError(
            f"the payload (offset {offset}, {length} bytes) reaches past the end "
            f"({len(data)} bytes)",
            where=where,
            hint=_TRUNCATED,
        )
    kind = recognise(data, offset)
    if kind is None:
        raise BaseError(
            f"the payload at offset 0x{offset:x} is not compressed in a known format{name}",
            where=where,
        )
    return Payload(kind, offset, offset + length)


def possible_payloads(data: mmap.mmap | bytes) -> Iterator[Payload]:
    """Anything that may be compressed data, in file order; its end is not known."""
    hits = {kind: data.find(magic) for kind, magic in MAGICS.items()}
    for _ in range(_MAX_HITS):
        hits = {kind: at for kind, at in hits.items() if at >= 0}
        if not hits:
            return
        kind, at = min(hits.items(), key=lambda hit: hit[1])
        if recognise(data, at) == kind:
            yield Payload(kind, at, len(data))
        hits[kind] = data.find(MAGICS[kind], at + 1)
