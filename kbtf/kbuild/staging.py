# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A build outside its source directory, with the sources staged as symbolic links.

Kbuild builds an external module next to its sources; ``MO=`` exists only since kernel 6.13.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.errors import KbtfError, UsageError, os_error
from kbtf.files.paths import is_below

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRODUCTS = (".ko", ".mod", ".mod.c")


def stage(source: str, work: str) -> None:
    """Make *work* a mirror of *source*: its directories, and links to its files.

    Kbuild's products in *source* and hidden directories are not staged; links to files removed from
    *source* are removed.  A file in *work* that is not such a link is never replaced.
    """
    source, work = os.path.abspath(source), os.path.abspath(work)
    if os.path.realpath(source) == os.path.realpath(work):
        raise UsageError(f"--work {work} is the directory of the sources")
    try:
        os.makedirs(work, exist_ok=True)
        wanted = dict(_sources(source, os.path.realpath(work)))
        _drop_stale(source, work, wanted)
        for name, target in wanted.items():
            path = os.path.join(work, name)
            if not is_below(work, os.path.dirname(path)):
                raise KbtfError(f"leads out of {work}", file=os.path.dirname(path))
            _link(path, target)
    except OSError as error:
        raise os_error(error) from error


def _sources(source: str, work: str) -> Iterator[tuple[str, str]]:
    """The files to stage: their paths in *source*, relative and absolute."""
    seen = {work}
    for folder, folders, files in os.walk(source, followlinks=True):
        # Links to directories are followed, or Kbuild would build through them; cycles are not.
        if os.path.realpath(folder) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(folder))
        folders[:] = [name for name in folders if not name.startswith(".")]
        names = set(files)
        for name in files:
            if not _is_product(name, names):
                path = os.path.join(folder, name)
                yield os.path.relpath(path, source), path


def _is_product(name: str, beside: set[str]) -> bool:
    """Whether Kbuild made it.  An object without a ``.cmd`` file is one that the author ships."""
    if name.startswith(".") and name.endswith((".cmd", ".d")):
        return True
    return name.endswith(_PRODUCTS) or name == "modules.order" or f".{name}.cmd" in beside


def _drop_stale(source: str, work: str, wanted: dict[str, str]) -> None:
    for folder, _, files in os.walk(work):
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path) and os.path.relpath(path, work) not in wanted:
                target = os.readlink(path)
                if target.startswith(os.path.join(source, "")):
                    os.unlink(path)


def _link(path: str, target: str) -> None:
    if os.path.islink(path):
        if os.readlink(path) == target:
            return
        os.unlink(path)
    elif os.path.lexists(path):
        raise KbtfError("is in the way of the source file of that name", file=path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(target, path)
