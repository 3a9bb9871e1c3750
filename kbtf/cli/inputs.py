# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The modules that a command line names: files, directories, patterns, and names from a pipe."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from kbtf.errors import KbtfError, UsageError
from kbtf.files.formats import MODULE_SUFFIXES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator


class Given(NamedTuple):
    """A module that was given."""

    path: str
    name: str
    """The path of its output below ``-o DIR``: relative to the directory that was given."""


def add_modules(parser: argparse.ArgumentParser) -> None:
    """The arguments that name modules."""
    parser.add_argument(
        "modules",
        nargs="+",
        metavar="MODULE",
        help="a linked .ko[.gz|.xz|.zst], a directory of them, a pattern, or - for a list of "
        "names on standard input",
    )


def find_modules(words: Iterable[str], output: str | None = None) -> list[Given]:
    """The modules that *words* name, in order; KbtfError for a directory without any.

    A directory *output* in one of those named is left out: it has the results of an earlier run.
    """
    found = [given for word in words for given in _find(word, output)]
    if not found:
        raise UsageError("no modules are named on standard input")
    return found


def _find(word: str, output: str | None) -> Iterator[Given]:
    if word == "-":
        for name in _names_piped_in():
            yield Given(name, os.path.basename(name))
    elif os.path.isdir(word):
        yield from _below(word, output)
    elif any(char in word for char in "*?[") and not os.path.lexists(word):
        import glob

        matching = sorted(glob.glob(word, recursive=True)) or [word]
        for path in matching:
            if os.path.isdir(path):
                yield from _below(path, output)
            else:
                yield Given(path, os.path.basename(path))
    else:
        yield Given(word, os.path.basename(word))


def _below(folder: str, output: str | None) -> Iterator[Given]:
    """The modules in a directory tree without *output*, sorted by name."""
    found = False
    left_out = output and os.path.realpath(output)
    for place, folders, names in os.walk(folder):
        folders.sort()
        if left_out and os.path.realpath(place) == os.path.dirname(left_out):
            folders[:] = [name for name in folders if name != os.path.basename(left_out)]
        for name in sorted(names):
            if name.endswith(MODULE_SUFFIXES):
                found = True
                path = os.path.join(place, name)
                yield Given(path, os.path.relpath(path, folder))
    if not found:
        yield from _snapshot(folder)


def _snapshot(folder: str) -> Iterator[Given]:
    """The modules in a copy of /sys/kernel/btf, which also has vmlinux; else KbtfError."""
    from kbtf.elf.files import is_raw_module

    names = [n for n in sorted(os.listdir(folder)) if is_raw_module(os.path.join(folder, n))]
    if not names:
        raise KbtfError("no modules in this directory or in those below it", file=folder)
    for name in names:
        yield Given(os.path.join(folder, name), name)


def _names_piped_in() -> list[str]:
    """Names, one per line or, as from ``find -print0``, terminated by zero bytes."""
    data = sys.stdin.buffer.read() if sys.stdin is not None else b""
    separator = b"\0" if b"\0" in data else b"\n"
    return [os.fsdecode(name) for name in data.split(separator) if name]
