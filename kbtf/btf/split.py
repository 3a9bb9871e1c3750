# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whether raw BTF continues a base, judged as kernels and libbpf do."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbtf.btf.btf import Data

_MAGIC = {b"\x9f\xeb": "<", b"\xeb\x9f": ">"}
_HEADER = 24


def is_raw_btf(head: Data) -> bool:
    """Whether a file with these first bytes is raw BTF."""
    return bytes(head[:2]) in _MAGIC


def is_split_btf(data: Data) -> bool:
    """The strings of a base start with the empty one, those of split BTF do not."""
    order = _MAGIC.get(bytes(data[:2]))
    if order is None or len(data) < _HEADER:
        return False
    header_len, _, _, offset, length = struct.unpack_from(f"{order}5I", data, 4)
    return not length or bytes(data[header_len + offset :][:1]) != b"\0"
