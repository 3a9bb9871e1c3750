# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The base BTF: of a kernel in any form, given or found on this machine."""

from __future__ import annotations

import os

from kbtf.btf.base import Base
from kbtf.btf.btf import Btf
from kbtf.errors import BtfError, KbtfError, MisfitError
from kbtf.files.source import Source
from kbtf.kernel import cache as cached
from kbtf.kernel.btf_in_file import Found, Wanted, btf_in_place, unpacked_btf
from kbtf.kernel.release import boot_release, path_release

_MAYBE_SPLIT = "if this is the split BTF of a module, name the base that it was made with"


def open_btf(path: str, base: Btf | None = None, *, cache: bool = True) -> Btf:
    """The BTF of a file: raw BTF, an ELF file, a kernel image; each may be compressed.

    A module's BTF continues its ``.BTF.base`` if it has one, else *base*.  With *cache*, BTF that
    was unpacked from a kernel is kept for the next run.  KbtfError names the file.
    """
    return _open_named(path, base, cache, modules=True).btf


def open_base(path: str, *, cache: bool = True, base: Btf | None = None) -> Base:
    """The base BTF in a file that `open_btf` accepts, with its origin.

    A module or other split BTF is refused unless *base*, which it continues, is given.
    """
    return _open_named(path, base, cache, modules=base is not None)


def _open_named(path: str, base: Btf | None, cache: bool, modules: bool) -> Base:
    wanted = Wanted(base, modules)
    try:
        with Source(path) as source:
            found = btf_in_place(source.data, wanted)
            if found is not None:
                own_path = os.path.abspath(path)
                return Base(found.btf, path, own_path, _release(source, found.banner))
            # nothing else is based on a module's BTF: not worth caching
            folder = cached.directory() if cache and base is None else None
            return _from_cache(source, folder) or _unpacked(source, wanted, folder)
    except KbtfError as error:
        error.file = error.file or path
        if isinstance(error, MisfitError) and base is None:
            error.hint = error.hint or _MAYBE_SPLIT
        raise


def _release(source: Source, banner: str | None) -> str | None:
    return boot_release(source.data) or banner or path_release(source.path)


def _from_cache(source: Source, folder: str | None) -> Base | None:
    entry = cached.look_up(source.stat, folder) if folder is not None else None
    if entry is None:
        return None
    try:
        btf = Btf.parse(entry.data)
    except BtfError:
        cached.drop(entry.path)
        return None
    return Base(btf, source.path, entry.path, _release(source, entry.release))


def _unpacked(source: Source, wanted: Wanted, folder: str | None) -> Base:
    found = unpacked_btf(source, wanted, folder)
    entry = _stored(source, found, folder)
    release = _release(source, found.banner)
    if entry is None:
        return Base(found.btf, source.path, None, release)
    # parsed again from the cache, so that the rest of the kernel can be freed
    return Base(Btf.parse(entry.data), source.path, entry.path, release)


def _stored(source: Source, found: Found, folder: str | None) -> cached.Entry | None:
    if folder is None or found.btf.base is not None or not source.is_unchanged():
        return None
    if not cached.store(source.stat, found.blob, found.banner, folder):
        return None
    return cached.look_up(source.stat, folder)
