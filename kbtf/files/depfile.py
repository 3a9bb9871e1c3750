# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Write a dependency file for make and ninja."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbtf.errors import UsageError
from kbtf.files.replace import replace_and_warn

if TYPE_CHECKING:
    from collections.abc import Iterable

# A run of backslashes is doubled only before another one that escapes something.
_SPECIAL = re.compile(r"(\\*)([ #:])")
# Characters that make would misread and that have no escape known to ninja too: the recipe of a
# rule, an assignment, order-only prerequisites, a pattern, grouped targets, an archive member, a
# home directory.
_NO_NAME = re.compile(r"[\x00-\x1f\x7f;=|%*?\[\]]|&$|\(.*\)$|^~|[ \\]$")


def write_depfile(path: str, targets: Iterable[str], needs: Iterable[str]) -> None:
    """Write to *path* that *targets* depend on *needs*; UsageError if make would misread a name."""
    names = [" ".join(map(escape, words)) for words in (targets, needs)]
    replace_and_warn(path, f"{names[0]}: {names[1]}\n".encode("utf-8", "surrogateescape"))


def escape(name: str) -> str:
    """A file name escaped for such a rule; UsageError if make would misread it."""
    found = _NO_NAME.search(name)
    if found:
        raise UsageError(f"{found[0]!r} in a name is not possible in a depfile", file=name)
    return _SPECIAL.sub(r"\1\1\\\2", name).replace("$", "$$")
