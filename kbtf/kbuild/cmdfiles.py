# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The dependencies of Kbuild's build of modules, from the ``.*.cmd`` files that it leaves."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from kbtf.files.small import read_small

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# fixdep writes `source_TARGET := FILE` and, over several lines, `deps_TARGET := FILE FILE ...`
_ASSIGNED = re.compile(r"^(?:source|deps)_\S+ :=((?:.*\\\n)*.*)$", re.MULTILINE)
# A configuration option appears as $(wildcard include/config/X): touched by syncconfig, no input.
_WILDCARD = re.compile(r"\$\(wildcard [^)]*\)")
_SYMVERS = re.compile(r"\s-[ie]\s+([^-\s]\S*)")
_OWN = ".kbtf"


def read_cmd(text: str) -> list[str]:
    """The files that a ``.*.cmd`` file names as the sources of its target."""
    found: list[str] = []
    for match in _ASSIGNED.finditer(text):
        found += _WILDCARD.sub(" ", match[1].replace("\\\n", " ")).split()
    return [name.replace("$(pound)", "#").replace("$$", "$") for name in found]


def read_symvers(text: str) -> list[str]:
    """The ``Module.symvers`` files that modpost read, from ``.Module.symvers.cmd``."""
    return [name for name in _SYMVERS.findall(text.partition(":=")[2]) if "symvers" in name]


def inputs(folder: str, kdir: str, modules: Iterable[str]) -> list[str]:
    """All files other than Kbuild's own products that *modules* in *folder* were built from.

    Absolute paths, with links to staged sources resolved, sorted; only existing files, because a
    ``.cmd`` file may name a source that was removed.
    """
    named: list[str] = []
    for cmd in _cmd_files(folder, modules):
        named += read_cmd(_text(cmd))
    named += read_symvers(_text(os.path.join(folder, ".Module.symvers.cmd")))
    named += ["Module.symvers", ".config", "include/config/auto.conf", "Makefile"]
    # Kernels before 6.13 run the compiler in the kernel's directory, later ones in the module's.
    found = {path for name in named if (path := _existing(name, (kdir, folder)))}
    found.update(_makefiles(folder))
    inside = os.path.join(folder, "")
    return sorted(
        {_source(path) for path in found if not (path.startswith(inside) and _is_product(path))}
    )


def _cmd_files(folder: str, modules: Iterable[str]) -> Iterator[str]:
    """The ``.cmd`` files of the objects of *modules*; of all in *folder* if that is unknown."""
    objects: list[str] = []
    for module in modules:
        stem = module.removesuffix(".ko")
        members = _text(f"{stem}.mod").split()
        objects += [f"{stem}.o", f"{stem}.mod.o", *(os.path.join(folder, name) for name in members)]
    for name in dict.fromkeys(objects):
        yield os.path.join(os.path.dirname(name), f".{os.path.basename(name)}.cmd")


def _makefiles(folder: str) -> Iterator[str]:
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(where, name) for name in files if name in ("Kbuild", "Makefile"))


def _existing(name: str, folders: Iterable[str]) -> str | None:
    for folder in folders:
        path = os.path.normpath(os.path.join(folder, name))
        if os.path.isfile(path):
            return path
    return None


def _is_product(path: str) -> bool:
    """Whether Kbuild made it: it has a ``.cmd`` file, or is an intermediate file of a module."""
    folder, name = os.path.split(path)
    made = name.endswith((".mod.c", ".mod")) or name.startswith(_OWN)
    return made or os.path.exists(os.path.join(folder, f".{name}.cmd"))


def _source(path: str) -> str:
    return os.path.realpath(path) if os.path.islink(path) else path


def _text(path: str) -> str:
    file = read_small(path)
    return file.text if file else ""
