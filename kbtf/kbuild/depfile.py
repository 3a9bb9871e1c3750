"""A rule of dependencies in a file, as make and ninja read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbtf.elf.write import replace_file
from kbtf.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

# A run of backslashes is doubled only where one more follows that escapes something.
_SPECIAL = re.compile(r"(\\*)([ \t#:])")


def write_depfile(path: str, targets: Iterable[str], needs: Iterable[str]) -> None:
    """Write to *path* that *targets* depend on *needs*."""
    names = [" ".join(map(escape, words)) for words in (targets, needs)]
    replace_file(path, f"{names[0]}: {names[1]}\n".encode("utf-8", "surrogateescape"))


def escape(name: str) -> str:
    """A file name as it stands in such a rule."""
    if "\n" in name:
        raise UsageError(f"{name!r}: a newline cannot stand in a depfile")
    return _SPECIAL.sub(r"\1\1\\\2", name).replace("$", "$$")
