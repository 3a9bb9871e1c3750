# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Operations repeated in one process, like the bench commands of tests/oracles/btf_oracle.c.

    loops.py distill REPEAT BASE SPLIT...
    loops.py relocate REPEAT TARGET BASE SPLIT [BASE SPLIT]...
    loops.py parse REPEAT BASE COUNT

Each prints a JSON list: the nanoseconds of each repetition.  Files are in memory and the base is
parsed before the clock starts.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kbtf import Btf, distill, relocate

if TYPE_CHECKING:
    from collections.abc import Callable


def distill_all(base: Btf, splits: list[bytes]) -> None:
    for data in splits:
        result = distill(Btf.parse(data, base))
        result.base.to_bytes()
        result.split.to_bytes()


def relocate_all(target: Btf, pairs: list[tuple[bytes, bytes]]) -> None:
    for base, split in pairs:
        relocate(Btf.parse(split, Btf.parse(base)), target).to_bytes()


def parse(data: bytes, count: int) -> None:
    for _ in range(count):
        Btf.parse(data)


def timed(repeat: int, work: Callable[[], None]) -> list[int]:
    took = []
    for _ in range(repeat):
        start = time.perf_counter_ns()
        work()
        took.append(time.perf_counter_ns() - start)
    return took


def main() -> None:
    what, repeat, base, *rest = sys.argv[1:]
    data = Path(base).read_bytes()
    if what == "distill":
        parsed = Btf.parse(data)
        splits = [Path(path).read_bytes() for path in rest]
        took = timed(int(repeat), lambda: distill_all(parsed, splits))
    elif what == "relocate":
        blobs = [Path(path).read_bytes() for path in rest]
        pairs = list(zip(blobs[::2], blobs[1::2], strict=True))
        # A new one each time, because the first module of a run hashes the target's names.
        targets = [Btf.parse(data) for _ in range(int(repeat))]
        took = timed(int(repeat), lambda: relocate_all(targets.pop(), pairs))
    else:
        took = timed(int(repeat), lambda: parse(data, int(rest[0])))
    print(json.dumps(took))


main()
