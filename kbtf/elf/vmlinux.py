"""The base BTF: of a kernel in whatever form it comes, given or found on this machine."""

from __future__ import annotations

import os

from kbtf.btf.btf import Btf
from kbtf.elf import cache as cached
from kbtf.elf.contents import Found, Wanted, btf_in_place, unpacked_btf
from kbtf.elf.files import Source
from kbtf.elf.release import boot_release, path_release
from kbtf.errors import BtfError, KbtfError, MisfitError, os_error
from kbtf.record import NamedTuple

_MAYBE_SPLIT = "if this is split BTF, that of a module, it takes the base it was made with"


class Base(NamedTuple):
    """BTF of a kernel, and where it is from."""

    btf: Btf
    source: str
    """The path that was given or found."""
    path: str | None
    """A file that pahole and libbpf take as ``--btf_base``: raw BTF or an ELF file.  None if there
    is none yet: see `base_file`."""
    release: str | None
    """Of the kernel; None if nothing says."""
    notes: tuple[str, ...] = ()
    """What a user may want to know of how it was found."""


def open_btf(path: str, base: Btf | None = None, *, cache: bool = True) -> Btf:
    """The BTF of a file: raw BTF, an ELF file, a kernel image; each may be compressed.

    A module's BTF continues its ``.BTF.base`` if it has one, else *base*.  With *cache*, what was
    unpacked from a kernel is kept for the next time.  KbtfError names the file.
    """
    return _open_named(path, base, cache, modules=True).btf


def open_base(path: str, *, cache: bool = True, base: Btf | None = None) -> Base:
    """The base BTF in a file such as `open_btf` takes, and what is known of it.

    A module or other split BTF is refused unless *base* says what it continues.
    """
    return _open_named(path, base, cache, modules=base is not None)


def base_file(base: Base, folder: str) -> str:
    """`Base.path`, or where there is none a file of raw BTF that is written to *folder*."""
    if base.path is not None:
        return base.path
    path = os.path.join(folder, "base.btf")
    try:
        with open(path, "wb") as file:
            file.write(base.btf.to_bytes())
    except OSError as error:
        raise os_error(error, path) from error
    return path


def _open_named(path: str, base: Btf | None, cache: bool, modules: bool) -> Base:
    wanted = Wanted(base, modules)
    try:
        with Source(path) as source:
            found = btf_in_place(source.data, wanted)
            if found is not None:
                own_path = os.path.abspath(path)
                return Base(found.btf, path, own_path, _release(source, found.banner))
            # a module's BTF is no one else's base: not worth a place in the cache
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
    # parsed anew where it is kept, so that the rest of the kernel can go
    return Base(Btf.parse(entry.data), source.path, entry.path, release)


def _stored(source: Source, found: Found, folder: str | None) -> cached.Entry | None:
    if folder is None or found.btf.base is not None or not source.is_unchanged():
        return None
    if not cached.store(source.stat, found.blob, found.banner, folder):
        return None
    return cached.look_up(source.stat, folder)
