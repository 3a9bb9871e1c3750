# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The chunks and the order in which many modules are processed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_Result = TypeVar("_Result")

MOST_FILES = 200  # modules in a chunk: each stays open until the chunk is flushed
_MOST_BYTES = 48 << 20  # bytes in a chunk: they are on disk twice until it is flushed
_FEWEST_BYTES = 2 << 20
_MODULE_COSTS = 100_000  # copying that many bytes takes as long as opening and indexing a module


def in_input_order(sizes: Sequence[int]) -> list[list[int]]:
    """The indices of *sizes*, in bytes, as chunks for one job."""
    return list(_cut(range(len(sizes)), sizes, 1))


def largest_first(sizes: Sequence[int], jobs: int) -> list[list[int]]:
    """The same for several jobs: large modules do not come last, and the last chunks are small."""
    order = sorted(range(len(sizes)), key=lambda index: -sizes[index])
    return list(_cut(order, sizes, 3 * jobs))


def _cut(order: Iterable[int], sizes: Sequence[int], parts: int) -> Iterator[list[int]]:
    """Chunks of about 1/*parts* of the remaining work."""
    left = sum(sizes) + _MODULE_COSTS * len(sizes)
    chunk: list[int] = []
    weight = 0
    for index in order:
        chunk.append(index)
        weight += sizes[index] + _MODULE_COSTS
        wanted = min(max(left // parts, _FEWEST_BYTES), _MOST_BYTES)
        if weight >= wanted or len(chunk) == MOST_FILES:
            yield chunk
            left -= weight
            chunk, weight = [], 0
    if chunk:
        yield chunk


def in_order(results: Iterable[tuple[int, _Result]]) -> Iterator[_Result]:
    """Yield results in order, each as soon as all earlier ones are available."""
    waiting: dict[int, _Result] = {}
    following = 0
    for index, result in results:
        waiting[index] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1
