"""The BTF in a file, whatever form the file has.

An ELF file or raw BTF is used where it lies.  Anything else is unpacked into a scratch file and
mapped, so that a kernel of 60 MB costs the memory of its BTF only.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from kbtf.btf.btf import Btf
from kbtf.elf.files import scratch_files
from kbtf.elf.image import ET_REL, SHT_NOBITS, ElfImage
from kbtf.elf.release import banner_release
from kbtf.errors import BaseError, ElfError, KbtfError, MachineError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    import mmap

    from kbtf.elf.files import Source
    from kbtf.elf.payload import Payload
    from kbtf.elf.unpack import Budget

_BTF_STARTS = (b"\x9f\xeb\x01", b"\xeb\x9f\x01")
_ELF_START = b"\x7fELF"
_MAX_TRIES = 64  # at what may be compressed data in a file that does not say where they are
_NO_BTF = "a kernel has it where CONFIG_DEBUG_INFO_BTF=y"


class Wanted(NamedTuple):
    """What is looked for."""

    base: Btf | None
    """What the BTF continues, unless the file says that itself."""
    modules: bool
    """Whether the BTF of a module will do."""


class Found(NamedTuple):
    """BTF in a file."""

    btf: Btf
    blob: memoryview
    banner: str | None = None
    """The release that the kernel's banner speaks of."""


def btf_in_place(data: mmap.mmap | bytes, wanted: Wanted) -> Found | None:
    """The BTF of an ELF file or of raw BTF; None if the file is neither or may hold a kernel."""
    head = data[:4]
    if head == _ELF_START:
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
        raise BaseError("is a module, and its BTF is not a base", hint="name the kernel's")
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
    """The BTF of a file that is compressed, of a kernel image or of a flat one.

    It is unpacked in *folder* if there is room, else elsewhere.
    """
    from kbtf.elf.payload import known_payload
    from kbtf.elf.unpack import Budget, output_limit

    payload = known_payload(source.data)
    if payload is None:
        return _search(source, wanted, folder)
    budget = Budget(output_limit(payload.end - payload.offset))
    found = _in_content(_unpacked(source, payload, budget, folder), wanted)
    if found is None:
        raise BaseError("has no BTF in the unpacked data", hint=_NO_BTF)
    return found


def _in_content(content: mmap.mmap, wanted: Wanted) -> Found | None:
    return btf_in_place(content, wanted) or _in_flat(content)


def _unpacked(source: Source, payload: Payload, budget: Budget, folder: str | None) -> mmap.mmap:
    from kbtf.elf.unpack import unpack_to

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
    from kbtf.elf.flat import find_btf

    if data[:4] == _ELF_START:
        return None  # without .BTF: what else lies in it is not the kernel's
    found = find_btf(data)
    return None if found is None else Found(*found, banner_release(data))


def _search(source: Source, wanted: Wanted, folder: str | None) -> Found:
    """BTF in a kernel that says nothing of where it is: as it lies, or in compressed parts.

    Boot wrappers of powerpc are ELF files.
    """
    from kbtf.elf.payload import possible_payloads
    from kbtf.elf.unpack import Budget, output_limit

    found = _in_flat(source.data)
    if found is not None:
        return found
    budget = Budget(output_limit(len(source.data)))
    problem: KbtfError | None = None
    tried = ""
    for payload in islice(possible_payloads(source.data), _MAX_TRIES):
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
        raise problem  # what is missing on this machine may be all that it takes
    if problem is not None and not tried:
        tried = f"; of what is compressed in it the first: {problem}"
    raise BaseError(f"has no BTF{tried}", hint=_NO_BTF)
