# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Each allocation of encoding a module fails in turn: a MemoryError, or the same BTF.

    encoding.py MODULE

Needs what extension.py does; prints how many allocations there are, and the names of the functions.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from kbtf import BtfBuilder, ElfImage, Kind
from kbtf.encode.dwarf import Encoded, encode_dwarf

library = ctypes.CDLL(None)
library.has_failed.restype = ctypes.c_bool


def main(path: str) -> int:
    image, base = ElfImage(Path(path).read_bytes()), BtfBuilder().build()

    def encoded() -> Encoded:
        return encode_dwarf(image, base, profile=131)

    expected = encoded()
    after, failed = -1, True
    while failed:
        after += 1
        found = None
        library.fail_allocation(after)
        try:
            found = encoded()
        except MemoryError:
            pass
        finally:
            failed = library.has_failed()
            library.fail_allocation(-1)
        assert found is None or found.btf.to_bytes() == expected.btf.to_bytes(), after
        assert found is None or found.notes == expected.notes, after
        assert found is not None or failed
    print(after, *[t.name for t in expected.btf if t.kind is Kind.FUNC])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
