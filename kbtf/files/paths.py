# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What names of files lead to: the same file, or one outside a directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.errors import KbtfError, UsageError
from kbtf.files.place import MOST_LINKS

if TYPE_CHECKING:
    from collections.abc import Iterable


def require_distinct(outputs: Iterable[str | None], inputs: Iterable[str | None]) -> None:
    """UsageError if two of *outputs* are one file, or if one is also among *inputs*.

    Such an output would replace another one, or something that the command reads.
    The file of a symbolic link counts, because that is what is replaced.
    """
    folders: dict[str, str] = {}  # of thousands of modules, each is looked at once
    taken = {_real(path, folders): "is read, so it cannot be written" for path in inputs if path}
    for path in filter(None, outputs):
        name = _real(path, folders)
        if name in taken:
            raise UsageError(taken[name], file=path, hint="name another output")
        taken[name] = "would be written twice"


def _real(path: str, folders: dict[str, str]) -> str:
    folder, name = os.path.split(path)
    if name in ("", ".", "..") or os.path.islink(path):
        return os.path.realpath(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return os.path.join(folders[folder], name)


def is_below(root: str, path: str) -> bool:
    """Whether *path*, links resolved, is *root* or below it."""
    top = os.path.realpath(root)
    return top == os.sep or os.path.commonpath((top, os.path.realpath(path))) == top


def within(root: str, path: str) -> str:
    """The file that *path* is in the system below *root*, where absolute links start at *root*.

    KbtfError if its links go round in circles.
    """
    if is_below(root, path):
        return path
    rest = os.path.relpath(path, root).split(os.sep)[::-1]
    found: list[str] = []
    links = 0
    while rest:
        found.append(rest.pop())
        here = os.path.join(root, *found)
        if not os.path.islink(here):
            continue
        links += 1
        if links > MOST_LINKS:
            raise KbtfError(f"leads out of {root}", file=path)
        target = os.path.normpath(os.path.join("/", *found[:-1], os.readlink(here)))
        found, rest = [], [*rest, *target.split(os.sep)[:0:-1]]
    return os.path.join(root, *found)
