# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The BTF in a file of any supported format.

An ELF file or raw BTF is used in place.  Anything else is unpacked into a scratch file and mapped,
so that a kernel of 60 MB only costs the memory of its BTF.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.btf import Btf
from kbtf.elf.format import ELF_MAGIC, ET_REL, SHT_NOBITS
from kbtf.elf.image import ElfImage
from kbtf.errors import BaseError, ElfError, KbtfError, MachineError
from kbtf.files.source import scratch_files
from kbtf.kernel.release import banner_release

if TYPE_CHECKING:
    import mmap

    from kbtf.files.budget import Budget
    from kbtf.files.source import Source
    from kbtf.kernel.boot_image import Payload

_BTF_STARTS = (b"\x9f\xeb\x01", b"\xeb\x9f\x01")
_MAX_UNPACKED = 64  # pieces of possible compressed data in a file without offsets
_ANY_BTF, _MAX_BTF_RATIO = 2 << 20, 6
"""Bytes, and how much larger than the file: xz shrinks a kernel's BTF to a quarter."""
_NO_BTF = "a kernel has it where CONFIG_DEBUG_INFO_BTF=y"


class Wanted(NamedTuple):
    """The search parameters."""

    base: Btf | None
    """The base that the BTF continues, unless the file has its own."""
    modules: bool
    """Whether the BTF of a module is acceptable."""


class Found(NamedTuple):
    """BTF in a file."""

    btf: Btf
    blob: memoryview
    banner: str | None = None
    """The release in the kernel's banner."""


def btf_in_place(data: mmap.mmap | bytes, wanted: Wanted) -> Found | None:
    """The BTF of an ELF file or of raw BTF; None if the file is neither or may hold a kernel."""
    head = data[:4]
    if head == ELF_MAGIC:
        return _in_elf(data, wanted)
    if head.startswith(_BTF_STARTS):
        blob = memoryview(data)
        return Found(Btf.parse(blob, wanted.base), blob)
    return None


def _in_elf(data: mmap.mmap | bytes, wanted: Wanted) -> Found | None:
    image = ElfImage(data)
    is_module = image.section(".gnu.linkonce.this_module") is not None
    own_base = image.section(".BTF.base")
    if not wanted.modules and (is_module or own_base is not None):
        raise BaseError("is a module, and its BTF is not a base", hint="name a kernel")
    section = image.section(".BTF")
    if section is None:
        if image.type == ET_REL or image.section("__ksymtab") is not None:
            raise ElfError("has no section .BTF", hint=_NO_BTF)
        return None
    if section.type == SHT_NOBITS:
        raise ElfError("has no contents, as in a file of debugging data only", where=".BTF")
    base = wanted.base if own_base is None else Btf.parse(image.contents(own_base))
    blob = image.contents(section)
    return Found(Btf.parse(blob, base), blob, _elf_banner(data, image))


def _elf_banner(data: mmap.mmap | bytes, image: ElfImage) -> str | None:
    rodata = image.section(".rodata")
    if image.type == ET_REL or rodata is None:
        return None
    return banner_release(data, rodata.offset, rodata.offset + rodata.file_size)


def unpacked_btf(source: Source, wanted: Wanted, folder: str | None) -> Found:
    """The BTF of a compressed file, a kernel image or a flat image.

    It is unpacked in *folder* if there is room, otherwise elsewhere.
    """
    from kbtf.kernel.boot_image import known_payload

    payload = known_payload(source.data)
    if payload is None:
        found = _search(source, wanted, folder)
    else:
        found = _in_payload(source, payload, wanted, folder)
    size, packed = len(found.blob), len(source.data)
    if size > _ANY_BTF + _MAX_BTF_RATIO * packed:
        raise BaseError(f"has {size} bytes of BTF in {packed}, no kernel's is packed so densely")
    return found


def _in_payload(source: Source, payload: Payload, wanted: Wanted, folder: str | None) -> Found:
    from kbtf.files.budget import Budget, output_limit

    budget = Budget(output_limit(payload.end - payload.offset))
    found = _in_content(_unpacked(source, payload, budget, folder), wanted)
    if found is None:
        raise BaseError("has no BTF in the unpacked data", hint=_NO_BTF)
    return found


def _in_content(content: mmap.mmap, wanted: Wanted) -> Found | None:
    return btf_in_place(content, wanted) or _in_flat(content)


def _unpacked(source: Source, payload: Payload, budget: Budget, folder: str | None) -> mmap.mmap:
    from kbtf.files.compression import unpack_to

    kind, offset, end = payload
    problem = None
    for scratch in scratch_files(folder):
        try:
            unpack_to(scratch, source, offset, end, kind=kind, budget=budget)
            return scratch.map()
        except OSError as error:
            problem = error
        finally:
            scratch.close()
    raise MachineError(f"no room for the unpacked data: {problem}") from problem


def _in_flat(data: mmap.mmap | bytes) -> Found | None:
    from kbtf.kernel.flat_image import find_btf

    if data[:4] == ELF_MAGIC:
        return None  # without .BTF: other BTF in it is not the kernel's
    found = find_btf(data)
    return None if found is None else Found(*found, banner_release(data))


def _search(source: Source, wanted: Wanted, folder: str | None) -> Found:
    """BTF in a kernel without offsets: uncompressed, or in compressed parts.

    Boot wrappers of powerpc are ELF files.
    """
    from kbtf.files.budget import Budget, output_limit
    from kbtf.kernel.boot_image import possible_payloads

    found = _in_flat(source.data)
    if found is not None:
        return found
    budget = Budget(output_limit(len(source.data)))
    problem: KbtfError | None = None
    tried = ""
    for payload in islice(possible_payloads(source.data), _MAX_UNPACKED):
        try:
            found = _in_content(_unpacked(source, payload, budget, folder), wanted)
        except KbtfError as error:
            if problem is None or isinstance(error, MachineError):
                problem = error
        else:
            tried = ", nor has what is compressed in it"
        if found is not None:
            return found
        if budget.left <= 0:
            break
    if isinstance(problem, MachineError):
        raise problem  # a decoder that is missing on this machine may be the reason
    if problem is not None and not tried:
        tried = f"; of what is compressed in it the first: {problem}"
    raise BaseError(f"has no BTF{tried}", hint=_NO_BTF)
