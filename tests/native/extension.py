# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Each allocation of each operation of the extension fails in turn: a MemoryError, and no leak.

Needs LD_PRELOAD=failing_malloc.so and PYTHONMALLOC=malloc; prints how many failed, by operation.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import sys
from typing import TYPE_CHECKING

from kbtf import BtfBuilder, Kind, distill
from kbtf.errors import BtfError
from kbtf.native import _native

if TYPE_CHECKING:
    from collections.abc import Callable

library = ctypes.CDLL(None)
library.has_failed.restype = ctypes.c_bool


def builder() -> BtfBuilder:
    b = BtfBuilder()
    b.add_int("int", 4)
    # more, and larger numbers, than Python has at hand without an allocation
    b.add_composite(
        Kind.STRUCT, "structure", 999, [(f"member_{n}", 1, 1000 + n) for n in range(20)]
    )
    for _ in range(300):
        b.add_composite(Kind.STRUCT, "s", 999)
    b.add_fwd("")
    return b


BASE = builder().build()
S = BtfBuilder(BASE)
S.add_composite(Kind.STRUCT, "own", 16, [("a", 2, 0), ("b", 1, 64)])
SPLIT = S.build()
DISTILLED = distill(SPLIT)
BASE_INDEX = _native.index_base(BASE.index, 1)
E = BtfBuilder(BASE)
E.add_ref(Kind.PTR, E.next_id)
ENDLESS = E.build()
RULES = (0xFFFFFFFF, 19, 512, True, True)

OPERATIONS: dict[str, Callable[[], object]] = {
    "index": lambda: _native.Index(BASE.data),
    "index split": lambda: _native.Index(SPLIT.data, BASE.index),
    "refuse": lambda: _native.Index(b"no BTF"),
    "refuse a type": lambda: _native.Index(SPLIT.data),
    "record": lambda: BASE.index.record(2),
    "missing record": lambda: missing(BASE.index.record),
    "string": lambda: BASE.index.string(1),
    "strings": lambda: BASE.index.strings(),
    "find": lambda: _native.Index(BASE.data).find(b"s"),
    "index a base": lambda: _native.index_base(BASE.index, 1),
    "find a name in the index of a base": lambda: BASE_INDEX.find(b"int"),
    "open the index of a base": lambda: _native.open_base_index(BASE.index, BASE_INDEX.image()),
    "refuse the index of a base": lambda: _native.open_base_index(BASE.index, b""),
    "deduplicate": lambda: _native.deduplicate(SPLIT.index, BASE_INDEX),
    "do not deduplicate": lambda: _native.deduplicate(ENDLESS.index, BASE_INDEX),
    "distill": lambda: _native.distill(SPLIT.index),
    "relocate": lambda: _native.relocate(DISTILLED.split.index, _native.Index(BASE.data)),
    "do not relocate": lambda: _native.relocate(
        DISTILLED.split.index, _native.Index(BtfBuilder().to_bytes())
    ),
    "verify": lambda: _native.verify(BASE.index, *RULES),
    "fit": lambda: _native.check_fit(SPLIT.index),
}


def missing(get: Callable[[int], object]) -> None:
    try:
        get(100_000)
    except IndexError:
        pass


def load() -> None:
    """Initialize the extension once more; what it made before is its own no longer."""
    spec = importlib.util.find_spec("kbtf.native._native")
    assert spec is not None
    assert spec.loader is not None
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except SystemError:
        pass  # PyType_FromSpec() of Python 3.11 may fail without saying so


def failures_of(operation: Callable[[], object]) -> int:
    """How many allocations there are to fail."""
    for after in range(10_000):
        library.fail_allocation(after)
        try:
            operation()
            refused = False
        except MemoryError:
            refused = True
        except BtfError:
            refused = False  # as without a failure
        finally:
            failed = library.has_failed()
            library.fail_allocation(-1)
        assert not refused or failed
        if not failed:
            return after
    raise AssertionError("it never ends")


def blocks() -> int:
    gc.collect()
    return int(MALLINFO().uordblks)


class Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


MALLINFO = library.mallinfo2
MALLINFO.restype = Mallinfo


def growth_of(operation: Callable[[], object]) -> tuple[int, int]:
    """How many bytes more are allocated after 20 times, and the number of allocations."""
    before = blocks()
    for _ in range(20):
        nr = failures_of(operation)
    return blocks() - before, nr


def main() -> int:
    for name, operation in OPERATIONS.items():
        for _ in range(10):
            failures_of(operation)
        # Python's own memory may grow once, a leak each time
        grown, nr = min(growth_of(operation) for _ in range(3))
        print(f"{name}: {nr} allocations, {grown} bytes more")
        # one lost object is at least 16 bytes, 20 times
        assert grown < 20 * 16, name
    print(f"load: {failures_of(load)} allocations")
    return 0


if __name__ == "__main__":
    sys.exit(main())
