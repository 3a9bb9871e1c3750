# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""BTF from the DWARF of modules and kernels, with kbtf's own encoder.

The result is that of ``pahole -J --btf_encode_detached`` 1.31 or 1.32 with the newest libbpf, byte
for byte, under a 24-byte header.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.btf import Btf
from kbtf.btf.deduplicate import index_base
from kbtf.elf.format import ET_REL
from kbtf.encode.compilers import encoding_base
from kbtf.encode.features import DEFAULT, WANTED, mask_of
from kbtf.encode.notes import Note, read_note, remarks_on
from kbtf.encode.sections import rows_of
from kbtf.errors import BtfError, DwarfError
from kbtf.native import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from kbtf.elf.image import ElfImage
    from kbtf.elf.module import Module
    from kbtf.encode.notes import Remark

PROFILES = (131, 132)
"""Which functions, and how multidimensional arrays, are encoded: as by pahole 1.31 or 1.32."""


class Encoded(NamedTuple):
    """The result of encoding the DWARF of a file."""

    btf: Btf
    profile: int
    units: int
    """The number of compilation units that were encoded."""
    notes: tuple[Note, ...]
    """Everything that was left out."""

    def remarks(self) -> Iterator[Remark]:
        """The messages for the user about the notes; of thousands of warnings, only the first."""
        return remarks_on(self.notes)


def has_dwarf(image: ElfImage) -> bool:
    """Whether there is a section with debugging information entries."""
    return any(image.section(name) for name in (".debug_info", ".zdebug_info"))


def encode_dwarf(
    image: ElfImage,
    base: Btf,
    *,
    features: Collection[str] = WANTED,
    profile: int | None = None,
    strict: bool = False,
    jobs: int = 1,
) -> Encoded:
    """Encode the DWARF of a relocatable ELF file as split BTF on *base*.

    The default *profile* is the one that *base* was encoded with; with another, few types of the
    module would match the base.  A unit that BTF cannot express is left out and noted; if
    *strict*, it is an error.  *jobs* threads read the units, 0 for one on each CPU; the result does
    not depend on how many.  DwarfError if there is no DWARF, none that can be encoded, or if it is
    damaged.
    """
    if profile is None:
        profile = 132 if index_base(base).nested_arrays else 131
    blob, notes, units = _encode(image, base, features, profile, strict=strict, jobs=jobs)
    return Encoded(Btf.parse(blob, base), profile, units, notes)


def encode_module(
    module: Module,
    index: Callable[[Btf], object],
    *,
    features: Collection[str] = WANTED,
    profile: int | None = None,
    strict: bool = False,
    as_pahole: bool = False,
) -> Encoded:
    """Encode the DWARF of *module* as split BTF on its base; the rest as for `encode_dwarf`.

    Types are looked up in `encoding_base`, or *as_pahole* does, by their names alone.  *index*
    loads the index of a base that it is called with, as `load_index` does.  The remarks become
    notes and warnings of the module.
    """
    index(module.base)  # first, because types are also found by name with it
    base = module.base if as_pahole else encoding_base(module).btf
    index(base)
    encoded = encode_dwarf(
        module.image, base, features=features, profile=profile, strict=strict, jobs=module.threads
    )
    remarks = list(encoded.remarks())
    for text, is_warning in remarks:
        if is_warning:
            module.warn(text)
        else:
            module.note(text)
    if not remarks and not len(encoded.btf):
        module.warn("its DWARF describes none of its own code: compile its sources with -g")
    if base is module.base:
        return encoded
    # all ids are those of the module's own base
    return encoded._replace(btf=Btf.parse(encoded.btf.to_bytes(), module.base))


def is_linked(image: ElfImage) -> bool:
    """Whether a file is fully linked, like vmlinux and unlike modules."""
    return image.type != ET_REL


def encode_kernel(
    image: ElfImage,
    *,
    features: Collection[str] = DEFAULT,
    profile: int = PROFILES[-1],
    strict: bool = False,
    jobs: int = 1,
) -> Encoded:
    """Encode the DWARF of a linked vmlinux as the kernel's own BTF; errors as `encode_dwarf`.

    *jobs* threads read the units, 0 for one on each CPU; the result does not depend on how many.
    """
    from kbtf.btf.builder import BtfBuilder  # modules do not need it

    base = BtfBuilder().build()
    blob, notes, units = _encode(image, base, features, profile, strict=strict, jobs=jobs)
    return Encoded(Btf.parse(blob), profile, units, notes)


def _encode(
    image: ElfImage,
    base: Btf,
    features: Collection[str],
    profile: int,
    *,
    strict: bool,
    jobs: int = 1,
) -> tuple[bytes, tuple[Note, ...], int]:
    if not has_dwarf(image):
        raise DwarfError("has no debug information (DWARF)", hint="compile it with -g")
    foreign = image.byte_order != sys.byteorder
    try:
        blob, notes, units = _native.encode(
            index_base(base),
            rows_of(image),
            image.packed_size,
            image.machine,
            image.bits == 64,
            foreign,
            is_linked(image),
            mask_of(tuple(features)),
            profile,
            strict,
            jobs or len(os.sched_getaffinity(0)),
        )
    except BtfError as error:
        raise DwarfError(error.what) from error
    return blob, tuple(map(read_note, notes)), units
