# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A record of what the BTF in a build directory was made with, so that changes rebuild it.

Kbuild stores the command of each target in a ``.cmd`` file.  This does the same for the phases of
all modules of a directory, in a file that Kbuild's ``clean`` removes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kbtf.elf.module import Module
from kbtf.errors import KbtfError
from kbtf.files.replace import remove_file, replace_file
from kbtf.files.small import text_if_readable
from kbtf.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.hooks.options import Config

_NAME = ".kbtf.cmd"
# For another kernel build directory, Kbuild itself rebuilds everything.
_NO_MATTER = ("dry-run", "no-cache", "kdir", "hash", "jobs")


def write_stamp(folder: str, config: Config, options: Iterable[str], bases: Iterable[str]) -> None:
    """Record the options and the bases that the modules of *folder* were processed with."""
    import json

    text = json.dumps(_made_with(config, options, bases), indent=1, default=str)
    path = os.path.join(folder, _NAME)
    if os.path.islink(path):  # as in a copy made of links: the original belongs elsewhere
        os.unlink(path)
    replace_file(path, text.encode())


def drop_stamp(folder: str) -> None:
    """Delete the record for the modules of *folder*: they are not as it says, or will not be."""
    try:
        os.unlink(os.path.join(folder, _NAME))
    except FileNotFoundError:
        pass


def drop_outdated(
    folder: str, modules: Iterable[str], config: Config, options: Iterable[str]
) -> list[str] | None:
    """Remove *modules* whose BTF was made with other options or bases, so that make relinks them.

    Returns the bases of those that remain; None if they are outdated.
    """
    import json

    try:
        old = json.loads(text_if_readable(os.path.join(folder, _NAME)))
        bases = [str(path) for path, _, _ in old["files"]["bases"]]
    except (ValueError, LookupError, TypeError):
        bases, old = [], None  # built by Kbuild alone, or never, or something failed
    new = _made_with(config, options, bases)
    if old == json.loads(json.dumps(new, default=str)):
        return bases
    drop_stamp(folder)  # before make, which may fail: it would vouch for modules made otherwise
    drop_processed(modules)
    return None


def drop_processed(modules: Iterable[str]) -> None:
    """Remove those of *modules* that have BTF or a signature, so that make relinks them."""
    for path in modules:
        try:
            module = Module.open(path)
            if not module.has_btf and module.signature is None:
                continue
        except KbtfError:
            pass  # whatever it is, make relinks it
        remove_file(path)


def _made_with(config: Config, options: Iterable[str], bases: Iterable[str]) -> dict[str, Any]:
    values = {key: config.get(key) for key in sorted(options) if key not in _NO_MATTER}
    if values.get("base"):
        values["base"] = os.path.abspath(values["base"])
    # Each run signs again; the key is not recorded, because its URI may contain a PIN.
    values["sign"] = bool(values.get("sign"))
    files = {"bases": bases, "configuration": config.files}
    absolute = {name: sorted({*map(os.path.abspath, paths)}) for name, paths in files.items()}
    return {
        "version": VERSION,
        "options": values,
        "files": {name: [_state(path) for path in paths] for name, paths in absolute.items()},
    }


def _state(path: str) -> tuple[str, int, int]:
    try:
        facts = os.stat(path)
    except OSError:
        return path, -1, -1
    return path, facts.st_size, facts.st_mtime_ns
