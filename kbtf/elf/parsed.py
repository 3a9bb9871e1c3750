# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""ELF files through pyelftools, for data that is read once and off the hot path.

pyelftools trusts the sizes that a file states; those that could cost unbounded time or memory are
checked here first.
"""

from __future__ import annotations

import io
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile

from kbtf.elf.format import ELF_MAGIC
from kbtf.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elftools.elf.sections import Section

    from kbtf.elf.format import Data

_SECTION_HEADER = {32: 40, 64: 64}
_LONGEST_NAME = 4096
_DAMAGE = (
    ELFError,
    DWARFError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    zlib.error,
)
"""Exceptions that pyelftools raises on damaged files, found by fuzzing."""


@contextmanager
def reading() -> Iterator[None]:
    """Turn exceptions of pyelftools on a damaged file into ElfError."""
    try:
        yield
    except _DAMAGE as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ElfError(f"cannot be read by pyelftools: {why}") from error


def parse_elf(data: Data) -> ELFFile:
    """The ELF file in *data*; ElfError if it is not one or its tables reach past its end."""
    blob = bytes(data)
    if not blob:
        raise ElfError("is empty")
    if blob[:4] != ELF_MAGIC:
        raise ElfError("is not an ELF file")
    with reading():
        elf = ELFFile(io.BytesIO(blob))
        size = _SECTION_HEADER[elf.elfclass]
        if elf["e_shoff"] and elf["e_shentsize"] != size:
            raise ElfError(f"has section headers of {elf['e_shentsize']} bytes, not {size}")
        if elf.num_sections() * size > max(len(blob) - elf["e_shoff"], 0):
            raise ElfError("is damaged: its section header table reaches past the end")
        for section in elf.iter_sections():
            _check(section, len(blob))
    return elf


def _check(section: Section, end: int) -> None:
    if section["sh_type"] in ("SHT_NULL", "SHT_NOBITS"):
        return
    where = f"section {section.name}"
    if section["sh_offset"] + section["sh_size"] > end:
        raise ElfError("reaches past the end of the file", where=where)
    if section["sh_type"] == "SHT_STRTAB":
        names = section.data().split(b"\0")
        if names[-1] or max(map(len, names)) > _LONGEST_NAME:
            raise ElfError(f"has a string of more than {_LONGEST_NAME:,} bytes", where=where)
