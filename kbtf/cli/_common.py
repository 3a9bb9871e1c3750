"""What several commands do alike."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kbtf.elf.write import replace_file
from kbtf.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable


def for_each(paths: Iterable[str], do: Callable[[str], None], *, debug: bool) -> int:
    """Call *do* for each path; one that fails does not stop the others.  The exit code."""
    from kbtf.cli import print_error, print_traceback
    from kbtf.errors import KbtfError, os_error

    code = 0
    for path in paths:
        try:
            do(path)
        except (KbtfError, OSError) as error:
            if debug:
                print_traceback()
            known = error if isinstance(error, KbtfError) else os_error(error, path)
            print_error(known)
            code = max(code, known.exit_code)
    return code


def add_output(parser: argparse.ArgumentParser, what: str) -> None:
    """The option ``-o`` of commands whose result is bytes."""
    parser.add_argument("-o", dest="output", metavar="FILE", help=f"write {what} there")


def write_bytes(data: bytes, output: str | None) -> None:
    """Write to *output*, or to standard output unless that is a terminal."""
    if output is not None:
        replace_file(output, data)
    elif os.isatty(sys.stdout.fileno()):
        raise UsageError("binary data for a terminal", hint="use -o FILE or a pipe")
    else:
        sys.stdout.buffer.write(data)
