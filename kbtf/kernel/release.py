# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernel release of a file: by its boot header, its banner, or its path."""

from __future__ import annotations

import os
import struct
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap

_BANNER = b"Linux version "
_MAX_LEN = 64  # of a field of struct utsname
_MAX_HITS = 1000
_SUFFIXES = (".old", ".bak", ".gz", ".xz", ".zst", ".lzma", ".bz2", ".lz4", ".debug", ".btf")


def is_release(text: str) -> bool:
    """Whether *text* can be a kernel's release, and is safe as part of a path."""
    return (
        0 < len(text) <= _MAX_LEN
        and text[0] in "0123456789"
        and "." in text
        and all("!" <= c <= "~" and c != "/" for c in text)
    )


def boot_release(data: mmap.mmap | bytes) -> str | None:
    """The release in an x86 boot header (Documentation/arch/x86/boot.rst: kernel_version)."""
    if len(data) < 0x210 or data[0x202:0x206] != b"HdrS":
        return None
    (pointer,) = struct.unpack("<H", data[0x20E:0x210])
    return _first_word(data, pointer + 0x200) if pointer else None


def banner_release(data: mmap.mmap | bytes, start: int = 0, end: int | None = None) -> str | None:
    """The release in linux_banner (init/version-timestamp.c), searched between two offsets."""
    end = len(data) if end is None else end
    for _ in range(_MAX_HITS):
        at = data.find(_BANNER, start, end)
        release = _first_word(data, at + len(_BANNER)) if at >= 0 else None
        if release is not None or at < 0:
            return release
        start = at + 1
    return None


def _first_word(data: mmap.mmap | bytes, offset: int) -> str | None:
    word, space, _ = data[offset : offset + _MAX_LEN + 1].partition(b" ")
    text = word.decode("latin-1")
    return text if space and is_release(text) else None


def path_release(path: str) -> str | None:
    """The release in *path*, or in the path that it links to."""
    given = os.path.abspath(path)
    return _release_in(os.path.realpath(given)) or _release_in(given)


def _release_in(path: str) -> str | None:
    if path == "/sys/kernel/btf/vmlinux":
        return os.uname().release
    folders = path.split("/")
    name = folders.pop()
    if folders and folders[-1] == "boot":
        stem, _, release = name.partition("-")
        if stem in ("vmlinux", "vmlinuz"):
            return _known(_without_suffixes(release))
    for parent, folder in pairwise(folders):
        if parent == "modules" and "/lib/modules/" in path:
            return _known(folder)
        if folder.startswith("linux-headers-"):
            return _known(folder.removeprefix("linux-headers-"))
        if parent == "kernels" and "/src/kernels/" in path:
            return _known(folder)
    return None


def _known(text: str) -> str | None:
    return text if is_release(text) else None


def _without_suffixes(name: str) -> str:
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            return _without_suffixes(name.removesuffix(suffix))
    return name
