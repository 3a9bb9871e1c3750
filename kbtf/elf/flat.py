"""BTF in a flat kernel image: memory as it was linked, without any table of what is where."""

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
_MAX_TRIES = 16


_MAX_TRIES = 16
_MAX_STARTS = 1 << 16


def find_btf(data: mmap.mmap | bytes) -> tuple[Btf, memoryview] | None:
    """The largest blob in *data* that is BTF and complete in itself, parsed and raw, or None.

    Largest, and not small, because kernels also carry the BTF of built-in BPF programs
    (kernel/bpf/preload, drivers/hid/bpf).  Few of those that look right are parsed.
    """
    for size, offset in nlargest(_MAX_TRIES, islice(_plausible_places(data), _MAX_STARTS)):
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
    """Size and offset of whatever starts as BTF does; size 0 where that cannot be."""
    for start, order in _STARTS:
        at = data.find(start)
        while at >= 0:
            yield _plausible_size(data, at, order), at
            at = data.find(start, at + 1)


def _plausible_size(data: mmap.mmap | bytes, at: int, order: str) -> int:
    """The size of the blob that a header at *at* speaks of; 0 if that cannot be."""
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
