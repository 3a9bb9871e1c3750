# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Limits on unpacked data: what unpacks to more is treated as an attack."""

from __future__ import annotations

from kbtf.errors import KbtfError
from kbtf.files.formats import MOST_UNPACKED

# Charged to the budget for each piece, even an empty one: a file full of those takes long.
LEAST_COST = 1 << 14
"""Bytes."""
_MAX_RATIO, _ANY_INPUT = 64, 16 << 20
_MAX_RATIO_IN_MEMORY, _ANY_IN_MEMORY = 16, 8 << 20


def output_limit(size: int) -> int:
    """How many bytes *size* bytes of a kernel may unpack to; more is treated as an attack.

    Kernels compress to a fifth or an eighth, some with runs of zeros further.  A factor of 64
    allows for that; gzip can reach 1000 and xz 7000.  16 MiB are always harmless, and no kernel
    with its debugging data needs more than 1 GiB.
    """
    return min(stream_limit(size), MOST_UNPACKED)


def memory_limit(size: int) -> int:
    """The same for what is unpacked in memory: a module.

    Of Debian's 4,230 modules, none above 320 kB compresses further than to a ninth, with debugging
    data or without.  The smaller ones, some of which hold tables that shrink to a hundredth, have
    at most 5 MB.
    """
    return min(_ANY_IN_MEMORY + _MAX_RATIO_IN_MEMORY * size, MOST_UNPACKED)


def stream_limit(size: int) -> int:
    """The same for data that is not kept: an archive of any size."""
    return _ANY_INPUT + _MAX_RATIO * size


class Budget:
    """How many more unpacked bytes are allowed, over one input or several attempts at it."""

    def __init__(self, size: int) -> None:
        self.size = self.left = size

    def take(self, size: int) -> None:
        """Count *size* bytes; KbtfError if that is too many."""
        self.left -= size
        if self.left < 0:
            raise KbtfError(f"unpacks to more than {self.size} bytes, no kernel or module does")
