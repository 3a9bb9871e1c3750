"""Which modules a command line means: files, directories, patterns, and names that are piped in."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kbtf.errors import KbtfError, UsageError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from kbtf.host.config import OptionGroup

MODULE_SUFFIXES = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")


class Given(NamedTuple):
    """A module that was given."""

    path: str
    name: str
    """What its output is called below ``-o DIR``: with the folders below the one that was given."""


def add_modules(parser: argparse.ArgumentParser) -> None:
    """The arguments that name modules."""
    parser.add_argument(
        "modules",
        nargs="+",
        metavar="MODULE",
        help="a linked .ko[.gz|.xz|.zst], a directory of them, a pattern, or - for a list of "
        "names on standard input",
    )


def add_jobs(group: OptionGroup) -> None:
    """The option ``-j``."""
    group.add(
        "-j",
        "--jobs",
        type=number_of_jobs,
        metavar="N",
        help="work on N modules at once, 0 for one on each CPU (default: 1, or what make's "
        "jobserver allows)",
    )


def number_of_jobs(text: str) -> int:
    """The number behind ``-j``."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def find_modules(words: Iterable[str]) -> list[Given]:
    """The modules that the *words* mean, in order; KbtfError for a directory without any."""
    found = [given for word in words for given in _find(word)]
    if not found:
        raise UsageError("no modules are named on standard input")
    return found


def _find(word: str) -> Iterator[Given]:
    if word == "-":
        for name in _names_piped_in():
            yield Given(name, os.path.basename(name))
    elif os.path.isdir(word):
        yield from _below(word)
    elif any(char in word for char in "*?[") and not os.path.lexists(word):
        import glob

        matching = sorted(glob.glob(word, recursive=True)) or [word]
        for path in matching:
            if os.path.isdir(path):
                yield from _below(path)
            else:
                yield Given(path, os.path.basename(path))
    else:
        yield Given(word, os.path.basename(word))


def _below(folder: str) -> Iterator[Given]:
    """The modules of a directory and of those below it, in the order of their names."""
    found = False
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(MODULE_SUFFIXES):
                found = True
                path = os.path.join(place, name)
                yield Given(path, os.path.relpath(path, folder))
    if not found:
        raise KbtfError("no modules in this directory or in those below it", file=folder)


def _names_piped_in() -> list[str]:
    """Names that lines hold, or, as those of ``find -print0``, that end in zero bytes."""
    data = sys.stdin.buffer.read() if sys.stdin is not None else b""
    separator = b"\0" if b"\0" in data else b"\n"
    return [os.fsdecode(name) for name in data.split(separator) if name]
