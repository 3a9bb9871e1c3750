# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Replace many files, each completely or not at all, and flush them together.

One `syncfs` flushes a chunk of new files, whereas an `fsync` for each would wait for the disk once
per file.  Only then are they renamed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.errors import KbtfError
from kbtf.files.place import open_place
from kbtf.files.replace import Replacement, Written
from kbtf.native._native import syncfs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.files.pieces import Pieces


class Chunk:
    """Files that are staged one by one and replaced together; each takes two file descriptors.

    `close` without `commit` removes what was staged.
    """

    def __init__(self) -> None:
        self._staged: list[Replacement] = []
        self._listed: dict[str, list[str]] = {}

    def write(self, path: str, data: bytes | Pieces, *, like: str | None = None) -> Written:
        """Stage *data* for *path*; arguments, result and errors are those of `replace_file`.

        Each directory is searched for remnants of killed runs once.
        """
        replacement = Replacement(path)
        self._staged.append(replacement)
        staged = False
        try:
            staged = replacement.stage(data, like=like, listed=self._listed)
        finally:
            if not staged:  # an incomplete file must not be committed with the others
                self._staged.pop().close()
        if not staged:
            return Written(False, [])
        replacement.release_old()
        return Written(True, replacement.notes, tuple(replacement.warnings))

    def commit(self) -> dict[str, KbtfError]:
        """Flush the staged files and rename them into place; the errors, by path."""
        failed: dict[str, KbtfError] = {}
        flush_each = not _flush_systems(replacement.folder for replacement in self._staged)
        for replacement in self._staged:
            try:
                if flush_each:
                    replacement.flush()
                replacement.commit()
            except KbtfError as error:
                failed[replacement.path] = error
        self.close()
        return failed

    def close(self) -> None:
        """Remove staged files that were not committed."""
        while self._staged:
            self._staged[-1].close()
            self._staged.pop()


def flush_folders_of(paths: Iterable[str]) -> None:
    """Flush the names of the files *paths* to disk."""
    systems: dict[int, int] = {}
    try:
        for path in paths:
            folder = open_place(path).folder
            if systems.setdefault(os.fstat(folder).st_dev, folder) != folder:
                os.close(folder)
        for folder in systems.values():
            if not _flush_systems([folder]):
                os.sync()
    finally:
        for folder in systems.values():
            os.close(folder)


def _flush_systems(folders: Iterable[int]) -> bool:
    """Flush the file systems of the open *folders*; False if that failed."""
    systems = {os.fstat(folder).st_dev: folder for folder in folders}
    if not systems:
        return True
    return all(syncfs(folder) for folder in systems.values())
