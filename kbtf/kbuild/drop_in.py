# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Files that kbtf adds to another program's configuration; only kbtf's own are overwritten."""

from __future__ import annotations

import os

from kbtf.errors import KbtfError, os_error
from kbtf.files.replace import replace_file


def template(name: str, program: str = "") -> str:
    """The text of a file next to this one; *program*, a shell word, is the program it runs."""
    return read(os.path.join(os.path.dirname(__file__), name)).replace("@KBTF@", program)


def is_ours(path: str, mark: str) -> bool:
    """Whether *path* is a file with kbtf's *mark*."""
    return os.path.isfile(path) and not os.path.islink(path) and mark in read(path)


def require_ours(mark: str, *paths: str) -> None:
    """KbtfError for an existing file that kbtf did not write."""
    for path in paths:
        if os.path.lexists(path) and not is_ours(path, mark):
            raise KbtfError("was not written by kbtf", file=path, hint="move it away first")


def remove(*paths: str) -> list[str]:
    """Remove the files; those that existed."""
    found = [path for path in paths if os.path.lexists(path)]
    try:
        for path in found:
            os.unlink(path)
    except OSError as error:
        raise os_error(error) from error
    return found


def read(path: str) -> str:
    """The text of a file."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError as error:
        raise os_error(error, path) from error


def write(path: str, text: str, mode: int) -> None:
    """Write *text* to *path*, and create its directory if needed."""
    umask = os.umask(0o022)  # everybody may read it, whatever root's umask
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        replace_file(path, text.encode("utf-8", "surrogateescape"))
        os.chmod(path, mode)
    except OSError as error:
        raise os_error(error) from error
    finally:
        os.umask(umask)
