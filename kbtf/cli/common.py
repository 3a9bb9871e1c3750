# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Code shared by several commands."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kbtf.errors import UsageError
from kbtf.files.replace import replace_file
from kbtf.say import write_binary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from kbtf.btf.btf import Btf


def for_each(paths: Iterable[str], do: Callable[[str], None], *, debug: bool) -> int:
    """Call *do* for each path; one that fails does not stop the others.  The exit code."""
    from kbtf.cli.terminal.messages import print_error
    from kbtf.errors import KbtfError, as_kbtf_error
    from kbtf.say import complain_of_traceback

    code = 0
    for path in paths:
        try:
            do(path)
        except (KbtfError, OSError) as error:
            if debug:
                complain_of_traceback()
            known = as_kbtf_error(error, path)
            print_error(known)
            code = max(code, known.exit_code)
    return code


def as_typed(word: str) -> str:
    """An argument that is not a file, without the ``./`` that the parser puts before a dash."""
    return word[2:] if word.startswith("./-") else word


def base_from_environment() -> str | None:
    """The default of ``--base``."""
    return os.environ.get("KBTF_BASE") or None


def add_base(parser: argparse.ArgumentParser, text: str, *, required: bool = False) -> None:
    """The option ``--base``; if *required*, the environment can provide it too."""
    default = base_from_environment()
    parser.add_argument(
        "--base",
        metavar="FILE",
        default=default,
        required=required and default is None,
        help=text,
    )


def add_output(parser: argparse.ArgumentParser, what: str) -> None:
    """The option ``-o`` of commands whose result is bytes."""
    parser.add_argument(
        "-o", dest="output", metavar="FILE", help=f"write {what} there (default: standard output)"
    )


def require_place(folder: str, hint: str | None = None) -> None:
    """UsageError if a file is in the place of the output directory *folder*."""
    place = folder.rstrip("/")  # with the slash, a file would not be seen
    if os.path.lexists(place) and not os.path.isdir(place):
        raise UsageError("is not a directory", file=place, hint=hint)


def write_file(path: str, data: bytes) -> None:
    """Make *data* the content of the file *path*; a warning on standard error if that is unsafe."""
    from kbtf.cli.terminal.messages import print_warning

    for warning in replace_file(path, data).warnings:
        print_warning(f"{path}: {warning}")


def write_bytes(data: bytes, output: str | None) -> None:
    """Write to *output*, or to standard output unless that is a terminal."""
    if output is not None:
        write_file(output, data)
    elif os.isatty(sys.stdout.fileno()):
        raise UsageError("binary data for a terminal", hint="use -o FILE or a pipe")
    else:
        write_binary(data)


def warn_of_unknown_kind(btf: Btf, path: str, consequence: str) -> None:
    """Say what does not come of a kind that kbtf does not know, if the BTF has one."""
    from kbtf.cli.terminal.messages import print_warning

    if btf.index.unknown_id:
        kind = btf[btf.index.unknown_id].kind
        print_warning(f"{path}: .BTF: kbtf does not know {kind.name}; {consequence}")
