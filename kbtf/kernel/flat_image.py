# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF in a flat kernel image: memory as linked, without any section table."""

from __future__ import annotations

import struct
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING

from kbtf.btf.btf import Btf
from kbtf.errors import BtfError

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

# Magic, version 1, flags 0, in both byte orders.
_STARTS = ((b"\x9f\xeb\x01\0", "<"), (b"\xeb\x9f\x01\0", ">"))
_HEADER_LENGTHS = (24, 32)
_MIN_TYPES = 1000  # the smallest kernel has ten times as many, a BPF program some hundred
_TYPE_LEN = 12
_MIN_SIZE = _MIN_TYPES * _TYPE_LEN
_MAX_PARSED = 16
_MAX_STARTS = 1 << 16


def find_btf(data: mmap.mmap | bytes) -> tuple[Btf, memoryview] | None:
    """The largest self-contained BTF blob in *data*, parsed and raw, or None.

    The largest, and above a minimum, because kernels also contain the BTF of built-in BPF programs
    (kernel/bpf/preload, drivers/hid/bpf).  Only a few plausible ones are parsed.
    """
    for size, offset in nlargest(_MAX_PARSED, islice(_plausible_places(data), _MAX_STARTS)):
        if size < _MIN_SIZE:
            break
        blob = memoryview(data)[offset : offset + size]
        try:
            btf = Btf.parse(blob)
        except BtfError:
            continue
        if len(btf) >= _MIN_TYPES:
            return btf, blob
    return None


def _plausible_places(data: mmap.mmap | bytes) -> Iterator[tuple[int, int]]:
    """Size and offset of each possible BTF header; size 0 if it cannot be one."""
    for start, order in _STARTS:
        at = data.find(start)
        while at >= 0:
            yield _plausible_size(data, at, order), at
            at = data.find(start, at + 1)


def _plausible_size(data: mmap.mmap | bytes, at: int, order: str) -> int:
    """The size of the blob with a header at *at*; 0 if it is not plausible."""
    header = data[at + 4 : at + 24]
    if len(header) < 20:
        return 0
    header_len, type_off, type_len, str_off, str_len = struct.unpack(f"{order}5I", header)
    size: int = header_len + str_off + str_len
    consistent = (
        header_len in _HEADER_LENGTHS
        and type_len >= _TYPE_LEN
        and type_len % 4 == 0
        and type_off + type_len <= str_off
        and str_len > 1
        and at + size <= len(data)
    )
    if not consistent or data[at + header_len + str_off] or data[at + size - 1]:
        return 0
    return size
