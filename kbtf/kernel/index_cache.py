# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The index of a base, cached on disk next to the BTF that was unpacked from kernels.

All processes that use a base map the same file.  Its name has the sizes of the base, which hardly
ever agree between kernels, and a checksum of its first strings, which include those that clang
names differently from gcc.  The C core verifies that the file is complete and of exactly this base
by checksums over both, which cannot be forged without a secret in the file.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kbtf.btf.deduplicate import index_base, open_index
from kbtf.files.checksum import checksum
from kbtf.files.pieces import Pieces
from kbtf.kernel import cache as cached

if TYPE_CHECKING:
    from kbtf.btf.btf import BaseIndex, Btf

_SIZES = slice(12, 24)  # of the sizes of types and strings in the header
_FIRST_STRINGS = 4096  # bytes


def load_index(base: Btf, *, cache: bool = True) -> BaseIndex:
    """Load the index for encoding and deduplication of *base*, from disk if cached.

    It is loaded or built once for each `Btf`, and stored on disk with *cache*.  BtfError if *base*
    is split BTF.
    """
    folder = cached.directory() if cache and base.lookup is None else None
    if folder is None:
        return index_base(base)
    name = _name(base)
    image = cached.look_up_named(name, folder)
    if image is None or not open_index(base, image):
        cached.store_named(name, memoryview(index_base(base).image()), folder)
    else:
        # both were read completely for the check, but little of them is needed
        Pieces([base.data, image]).give_back()
    return index_base(base)


def _name(base: Btf) -> str:
    data = memoryview(base.data)
    order = ">" if base.byte_order == "big" else "<"
    header_len, *_, str_off = struct.unpack_from(f"{order}IIII", data, 4)
    start = header_len + str_off
    first = checksum(data[start : start + _FIRST_STRINGS])
    return f"index_{bytes(data[_SIZES]).hex()}{first}"
