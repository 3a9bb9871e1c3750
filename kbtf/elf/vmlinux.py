"""The base BTF: from a kernel in whatever form it comes, given or found on this machine."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.btf import Btf
from kbtf.elf import cache as cached
from kbtf.elf.files import Source, scratch_files
from kbtf.elf.image import ET_REL, SHT_NOBITS, ElfImage
from kbtf.elf.release import banner_release, boot_release, path_release
from kbtf.errors import BaseError, BtfError, ElfError, KbtfError, MachineError

if TYPE_CHECKING:
    import mmap

    from kbtf.elf.payload import Payload
    from kbtf.elf.unpack import Budget

_BTF_STARTS = (b"\x9f\xeb\x01", b"\xeb\x9f\x01")
_ELF_START = b"\x7fELF"
_MAX_TRIES = 64  # at what may be compressed data in a file that does not say where they are
_NO_BTF = "a kernel has it where CONFIG_DEBUG_INFO_BTF=y"
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


class _Found(NamedTuple):
    """BTF in a file."""

    btf: Btf
    blob: memoryview
    banner: str | None = None
    """The release that the kernel's banner speaks of."""
    is_module: bool = False


def open_btf(path: str, base: Btf | None = None, *, cache: bool = True) -> Btf:
    """The BTF of a file: raw BTF, an ELF file, a kernel image; each may be compressed.

    A module's BTF continues after its ``.BTF.base`` if it has one, else after *base*.  With
    *cache*, what was unpacked from a kernel is kept for the next time.  KbtfError names the file.
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
    with open(path, "wb") as file:
        file.write(base.btf.to_bytes())
    return path


def _open_named(path: str, base: Btf | None, cache: bool, modules: bool) -> Base:
    try:
        with Source(path) as source:
            return _open(source, base, cache, modules)
    except KbtfError as error:
        error.file = error.file or path
        if isinstance(error, BtfError) and base is None and not modules:
            error.hint = error.hint or _MAYBE_SPLIT
        raise


def _open(source: Source, base: Btf | None, cache: bool, modules: bool) -> Base:
    found = None
    head = source.data[:4]
    if head == _ELF_START:
        found = _in_elf(source.data, base, modules)
    elif head.startswith(_BTF_STARTS):
        found = _Found(Btf.parse(source.data, base), memoryview(source.data))
    if found is not None:
        return Base(found.btf, source.path, os.path.abspath(source.path), _release(source, found))
    folder = cached.directory() if cache and base is None else None
    return _from_cache(source, folder) or _from_packed(source, base, folder, modules)


def _release(source: Source, found: _Found) -> str | None:
    return boot_release(source.data) or found.banner or path_release(source.path)


def _in_elf(data: mmap.mmap | bytes, base: Btf | None, modules: bool) -> _Found | None:
    """The BTF of an ELF file; None if it has none but may hold a kernel that has."""
    image = ElfImage(data)
    is_module = image.section(".gnu.linkonce.this_module") is not None
    own_base = image.section(".BTF.base")
    if not modules and (is_module or own_base is not None):
        raise BaseError("is a module, its BTF is no base", hint="give the kernel's")
    section = image.section(".BTF")
    if section is None:
        if image.type == ET_REL or image.section("__ksymtab") is not None:
            raise ElfError("has no section .BTF", hint=_NO_BTF)
        return None
    if section.type == SHT_NOBITS:
        raise ElfError("has no contents: the file has debugging data only", where=".BTF")
    if own_base is not None:
        base = Btf.parse(image.contents(own_base))
    blob = image.contents(section)
    rodata = image.section(".rodata")
    banner = None
    if rodata is not None and rodata.file_size and not is_module:
        banner = banner_release(data, rodata.offset, rodata.offset + rodata.size)
    return _Found(Btf.parse(blob, base), blob, banner, image.type == ET_REL)


def _from_cache(source: Source, folder: str | None) -> Base | None:
    entry = cached.look_up(source.stat, folder) if folder is not None else None
    if entry is None:
        return None
    try:
        btf = Btf.parse(entry.data)
    except BtfError:
        cached.drop(entry.path)
        return None
    found = _Found(btf, memoryview(entry.data), entry.release)
    return Base(btf, source.path, entry.path, _release(source, found))


def _from_packed(source: Source, base: Btf | None, folder: str | None, modules: bool) -> Base:
    found = _unpacked_btf(source, base, folder, modules)
    path = None
    if folder is not None and not found.is_module and source.is_unchanged():
        path = cached.store(source.stat, found.blob, found.banner, folder)
    return Base(found.btf, source.path, path, _release(source, found))


def _unpacked_btf(source: Source, base: Btf | None, folder: str | None, modules: bool) -> _Found:
    from kbtf.elf.payload import known_payload
    from kbtf.elf.unpack import Budget, output_limit

    payload = known_payload(source.data)
    if payload is None:
        return _search(source, folder)
    budget = Budget(output_limit(payload.end - payload.offset))
    content = _unpacked(source, payload, budget, folder)
    found = _in_content(content, base, modules)
    if found is None:
        raise BaseError("there is no BTF in the unpacked data", hint=_NO_BTF)
    return found


def _unpacked(source: Source, payload: Payload, budget: Budget, folder: str | None) -> mmap.mmap:
    from kbtf.elf.unpack import unpack_to

    problem = None
    for scratch in scratch_files(folder):
        try:
            unpack_to(
                scratch, source, payload.offset, payload.end, kind=payload.kind, budget=budget
            )
            return scratch.map()
        except OSError as error:
            problem = error
        finally:
            scratch.close()
    raise MachineError(f"no room for the unpacked data: {problem}") from problem


def _in_content(content: mmap.mmap, base: Btf | None, modules: bool) -> _Found | None:
    """The BTF of what was unpacked."""
    head = content[:4]
    if head == _ELF_START:
        return _in_elf(content, base, modules)
    if head.startswith(_BTF_STARTS):
        blob = memoryview(content)
        return _Found(Btf.parse(blob, base), blob, is_module=base is not None)
    return _in_flat(content)


def _in_flat(data: mmap.mmap | bytes) -> _Found | None:
    from kbtf.elf.flat import find_btf

    found = find_btf(data)
    return None if found is None else _Found(*found, banner_release(data))


def _search(source: Source, folder: str | None) -> _Found:
    """BTF in a kernel that says nothing of where it is: as it is, or in compressed parts."""
    from kbtf.elf.payload import possible_payloads
    from kbtf.elf.unpack import Budget, output_limit

    found = _in_flat(source.data)
    if found is not None:
        return found
    budget = Budget(output_limit(len(source.data)))
    problem: KbtfError | None = None
    for payload in islice(possible_payloads(source.data), _MAX_TRIES):
        try:
            found = _in_content(_unpacked(source, payload, budget, folder), None, False)
        except KbtfError as error:
            if problem is None or isinstance(error, MachineError):
                problem = error
        if found is not None:
            return found
        if budget.left <= 0:
            break
    if isinstance(problem, MachineError):
        raise problem
    tried = f"; of its compressed parts the first: {problem}" if problem is not None else ""
    raise BaseError(f"there is no BTF in it{tried}", hint=_NO_BTF)
