# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Replace a file from a process of its own, which a test may hit with faults and signals.

    replace.py FILE LETTER SIZE [COUNT]

COUNT times, SIZE letters become the content of FILE.  Exits as the command line does, and with
143 on SIGTERM and 130 on SIGINT.
"""

import signal
import sys
from types import FrameType

from kbtf.errors import KbtfError
from kbtf.files.replace import replace_file


def stop(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main(path: str, letter: str, size: str, count: str = "1") -> int:
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for _ in range(int(count)):
        try:
            replace_file(path, letter.encode() * int(size))
        except KbtfError as error:
            sys.stderr.write(f"{error}\n")
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
