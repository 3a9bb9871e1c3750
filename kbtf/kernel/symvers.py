# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Symbols that a kernel and its modules export: from ``Module.symvers`` or its vmlinux."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from typing import NamedTuple

from kbtf.elf.format import ELF_MAGIC
from kbtf.elf.image import ElfImage
from kbtf.errors import KbtfError
from kbtf.files.budget import Budget
from kbtf.files.compression import unpack
from kbtf.files.formats import recognise
from kbtf.files.small import read_small
from kbtf.files.source import Source

_BESIDE = ("Module.symvers", "build/Module.symvers")
_WITH_RELEASE = (
    "{folder}/symvers-{release}.gz",
    "{folder}/symvers-{release}.xz",
    "{folder}/symvers.gz",
    "{folder}/../usr/src/linux-headers-{release}/Module.symvers",
    "/lib/modules/{release}/build/Module.symvers",
    "/usr/src/linux-headers-{release}/Module.symvers",
    "/boot/symvers-{release}.gz",
    "/boot/symvers-{release}.xz",
)
_PREFIX = "__ksymtab_"
_MOST_TEXT = 8 << 20  # bytes; a distribution's kernel with all of its modules has 3 MB


class Exports(NamedTuple):
    """The exported symbols of a kernel."""

    source: str
    crcs: dict[str, int]
    """By name; 0 if the kernel has no versions, or they are not known."""
    owners: frozenset[str]
    """The names of modules that export some of them; includes ``vmlinux``."""
    with_modules: bool = True
    """Whether exports of modules are included."""

    @property
    def has_versions(self) -> bool:
        """Whether the kernel was built with CONFIG_MODVERSIONS."""
        return any(self.crcs.values())


def find_exports(source: str, release: str | None) -> Exports | None:
    """The exports of the kernel whose BTF is in *source*; None if no file here has them.

    They are searched next to that file, and in this machine's places for *release*.
    """
    folder = os.path.dirname(source) or "."
    places = [os.path.join(folder, name) for name in _BESIDE]
    if release:
        places += [place.format(folder=folder, release=release) for place in _WITH_RELEASE]
    for place in places:
        if os.path.isfile(place) and (found := _read_symvers(os.path.realpath(place))):
            return found
    return _read_vmlinux(os.path.realpath(source)) if os.path.isfile(source) else None


@lru_cache(maxsize=4)
def _read_symvers(path: str) -> Exports | None:
    """The lines ``CRC name module export``; None if *path* cannot be read."""
    try:
        file = read_small(path, _MOST_TEXT)
        data = file.data if file else b""
        if recognise(data):
            data = unpack(data, whole=True, budget=Budget(_MOST_TEXT))
    except KbtfError:
        return None
    crcs, owners = {}, set()
    for line in io.BytesIO(data):  # one at a time: a list of all takes many times their size
        crc, *words = line.decode("utf-8", "replace").rstrip("\r\n").split("\t", 3)
        if len(words) >= 2 and crc.startswith("0x"):
            crcs[words[0]] = _number(crc)
            owners.add(words[1].rpartition("/")[2].removesuffix(".ko").replace("-", "_"))
    return Exports(path, crcs, frozenset(owners)) if crcs else None


def _number(crc: str) -> int:
    try:
        return int(crc, 16) & 0xFFFFFFFF
    except ValueError:
        return 0


@lru_cache(maxsize=4)
def _read_vmlinux(path: str) -> Exports | None:
    """The exports of vmlinux itself, by its symbols; None if it is stripped or not an ELF file."""
    try:
        with Source(path) as source:
            if source.data[:4] != ELF_MAGIC:
                return None
            symbols = ElfImage(source.data).symbols()
            crcs = {s.name.removeprefix(_PREFIX): 0 for s in symbols if s.name.startswith(_PREFIX)}
    except KbtfError:
        return None
    return Exports(path, crcs, frozenset(["vmlinux"]), with_modules=False) if crcs else None
