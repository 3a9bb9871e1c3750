# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Runs one program and prints nanoseconds, those of processor time, peak KiB, and exit status.

The peak that wait4() reports includes that of the process which started the program (Linux counts
the memory that exec replaces), so this one stays small: start it with -I -S.
"""

import os
import sys
import time


def main() -> None:
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    start = time.perf_counter_ns()
    pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    taken = time.perf_counter_ns() - start
    processor = round((usage.ru_utime + usage.ru_stime) * 1e9)
    print(taken, processor, usage.ru_maxrss, os.waitstatus_to_exitcode(status))


main()
