# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whether Kbuild can build in the directory of ``kbtf build``, and whether it did."""

from __future__ import annotations

import os
import re

from kbtf.errors import KbtfError, MachineError, UsageError
from kbtf.files.small import text_if_readable

_DESCRIPTIONS = ("Kbuild", "Makefile")
_OBJECTS = re.compile(r"^\s*obj-\S+\s*[:+?]?=", re.MULTILINE)


class NothingBuiltError(KbtfError):
    """Kbuild built everything that the sources list, and that includes no module."""

    exit_code = 1


def require_one_word(folder: str, *, is_work: bool) -> None:
    """UsageError if make would read the path of *folder* as several words or a pattern."""
    # only spaces that make splits at: to it, a no-break space is a letter
    if re.search(r"[ \t\n]", folder):
        what = "Kbuild cannot build in a directory with a space in its path"
    elif re.search(r"[:%]", folder):
        what = "Kbuild cannot build in a directory with ':' or '%' in its path"
    else:
        return
    hint = "name another with --work" if is_work else "use --work DIR to build elsewhere"
    raise UsageError(what, file=folder, hint=hint)


def describes_modules(folder: str) -> bool:
    """Whether Kbuild finds objects listed in *folder*."""
    return any(_lists_objects(folder, name) for name in _DESCRIPTIONS)


def require_description(folder: str) -> None:
    """KbtfError if *folder* has none of the files in which Kbuild looks for modules."""
    if not any(os.path.exists(os.path.join(folder, name)) for name in _DESCRIPTIONS):
        raise KbtfError("has no Kbuild or Makefile", file=folder, hint=_inner(folder))


def require_writable(folder: str) -> None:
    """MachineError if Kbuild cannot write in *folder*; it may not exist yet."""
    if os.path.isdir(folder) and not os.access(folder, os.W_OK, effective_ids=True):
        raise MachineError(
            "cannot write in this directory", file=folder, hint="use --work DIR to build elsewhere"
        )


def nothing_built(folder: str) -> KbtfError:
    """Why make succeeded without building a module."""
    for name in _DESCRIPTIONS:
        if _lists_objects(folder, name):
            return NothingBuiltError(
                f"Kbuild built no module: obj-m in {name} names none", file=folder
            )
    return KbtfError("no modules in this directory", file=folder, hint=_inner(folder))


def _inner(folder: str) -> str | None:
    inner = os.path.join(folder, "src")
    return f"are the sources in {inner}?" if os.path.isdir(inner) else None


def _lists_objects(folder: str, name: str) -> bool:
    return bool(_OBJECTS.search(text_if_readable(os.path.join(folder, name))))
