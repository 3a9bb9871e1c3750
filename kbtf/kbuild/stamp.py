"""What the BTF in a build folder was made with, so that a change of it makes the BTF anew.

Kbuild remembers the command of each target in a ``.cmd`` file.  So does this, for the phases of
all modules of a folder, in a file that Kbuild's ``clean`` removes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kbtf.btf import _native
from kbtf.elf.module import Module
from kbtf.elf.write import replace_file
from kbtf.errors import KbtfError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.host.config import Config

_NAME = ".kbtf.cmd"
# Of another kernel build directory Kbuild itself builds everything anew.
_NO_MATTER = ("dry-run", "no-cache", "kdir", "hash", "jobs")


def write_stamp(folder: str, config: Config, options: Iterable[str], bases: Iterable[str]) -> None:
    """Remember the options and the bases that the modules of *folder* were processed with."""
    import json

    text = json.dumps(_made_with(config, options, bases), indent=1, default=str)
    replace_file(os.path.join(folder, _NAME), text.encode())


def drop_outdated(
    folder: str, modules: Iterable[str], config: Config, options: Iterable[str]
) -> list[str]:
    """Remove *modules* whose BTF was made with something else, for make to link them anew.

    Returns the bases of those that stay.
    """
    import json

    try:
        with open(os.path.join(folder, _NAME), encoding="utf-8") as file:
            old = json.load(file)
        bases = [str(path) for path, _, _ in old["files"]["bases"]]
    except (OSError, ValueError, LookupError, TypeError):
        return []  # nothing is known: built by Kbuild alone, or never
    new = _made_with(config, options, bases)
    if old == json.loads(json.dumps(new, default=str)):
        return bases
    drop_processed(modules)
    return []


def drop_processed(modules: Iterable[str]) -> None:
    """Remove those of *modules* that have BTF or a signature, for make to link them anew."""
    for path in modules:
        try:
            module = Module.open(path)
            if not module.has_btf and module.signature is None:
                continue
        except KbtfError:
            pass  # whatever it is, make links it anew
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


def _made_with(config: Config, options: Iterable[str], bases: Iterable[str]) -> dict[str, Any]:
    values = {key: config.get(key) for key in sorted(options) if key not in _NO_MATTER}
    if values.get("base"):
        values["base"] = os.path.abspath(values["base"])
    # Each run signs anew; which key it was is nobody's business, its URI may hold a PIN.
    values["sign"] = bool(values.get("sign"))
    files = {"bases": bases, "configuration": config.files}
    absolute = {name: sorted({*map(os.path.abspath, paths)}) for name, paths in files.items()}
    return {
        "version": _native.VERSION,
        "options": values,
        "files": {name: [_state(path) for path in paths] for name, paths in absolute.items()},
    }


def _state(path: str) -> tuple[str, int, int]:
    try:
        facts = os.stat(path)
    except OSError:
        return path, -1, -1
    return path, facts.st_size, facts.st_mtime_ns
