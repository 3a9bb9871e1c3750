"""Replace many files, each whole or not at all, and flush them together.

One `syncfs` brings a chunk of new files to the disk, where an `fsync` for each would wait for the
disk as often as there are files.  Only then are they renamed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.elf.write import Replacement, Written, behind_links
from kbtf.errors import KbtfError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from kbtf.elf.pieces import Pieces


class Chunk:
    """Files that are staged one by one and replaced together; each takes two file descriptors.

    Leaving it without `commit` removes what was staged.
    """

    def __init__(self) -> None:
        self._staged: list[Replacement] = []
        self._listed: dict[str, list[str]] = {}

    def write(self, path: str, data: bytes | Pieces, *, like: str | None = None) -> Written:
        """Stage *data* for *path*; arguments, result and errors are those of `replace_file`.

        What killed runs left is looked for once in each folder.
        """
        replacement = Replacement(path)
        self._staged.append(replacement)
        staged = False
        try:
            staged = replacement.stage(data, like=like, listed=self._listed)
        finally:
            if not staged:  # what is incomplete must not be committed with the others
                self._staged.pop().close()
        if not staged:
            return Written(False, [])
        replacement.release_old()
        return Written(True, replacement.notes)

    def commit(self) -> dict[str, KbtfError]:
        """Flush what was staged and put it in its place; the errors, by path."""
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
        """Remove what was staged and not committed."""
        while self._staged:
            self._staged[-1].close()
            self._staged.pop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def flush_folders_of(paths: Iterable[str]) -> None:
    """Bring the names of the files *paths* to the disk."""
    systems: dict[int, str] = {}
    for folder in {os.path.dirname(behind_links(path)) or "." for path in paths}:
        systems.setdefault(os.stat(folder).st_dev, folder)
    for folder in systems.values():
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if not _flush_systems([opened]):
                os.sync()
        finally:
            os.close(opened)


def _flush_systems(folders: Iterable[int]) -> bool:
    """Flush the file systems that the open *folders* are on; False if that did not work."""
    systems = {os.fstat(folder).st_dev: folder for folder in folders}
    if not systems:
        return True
    import ctypes  # Python has no syncfs

    syncfs = getattr(ctypes.CDLL(None), "syncfs", None)
    return syncfs is not None and all(syncfs(folder) == 0 for folder in systems.values())
