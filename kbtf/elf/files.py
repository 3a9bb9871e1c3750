# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Files of modules, read or mapped; files of another kind are refused by their first bytes."""

from __future__ import annotations

import io
import mmap
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kbtf.btf.split import is_raw_btf, is_split_btf
from kbtf.elf.format import ELF_MAGIC, ET_DYN, ET_EXEC
from kbtf.elf.image import ElfImage
from kbtf.errors import ElfError, KbtfError, located, os_error
from kbtf.files.formats import MOST_UNPACKED, recognise
from kbtf.files.small import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAPPED = 4 << 20  # bytes: smaller files are read
_LINKED = (bytes([ET_EXEC]), bytes([ET_DYN]))  # e_type, in either byte order
_HEAD = 64  # bytes needed to recognise a format


def read_module(path: str) -> bytes:
    """The contents of a file whose first bytes can be a module's; KbtfError for others."""
    return read_file(path, _require_module)


def read_module_or_btf(path: str) -> bytes:
    """The contents of a file whose first bytes can be a module's, or are raw BTF."""
    return read_file(path, _require_module_or_btf)


def read_unpacked(path: str) -> bytes | mmap.mmap:
    """The contents of a file, unpacked if it is compressed as modules are."""
    from kbtf.files.source import Source

    with Source(path) as source, located(path):
        kind = recognise(source.data)
        if kind is None:
            return source.data
        from kbtf.files.compression import unpack_module

        return unpack_module(source.data, kind)


def is_raw_module(path: str) -> bool:
    """Whether *path* is a file of raw split BTF; False if it cannot be read."""
    try:
        return is_split_btf(read_module_or_btf(path))
    except KbtfError:
        return False


def _require_module_or_btf(head: bytes, size: int) -> None:
    if not is_raw_btf(head):
        _require_module(head, size)


def map_module(path: str) -> bytes | mmap.mmap:
    """As `read_module`, but a large file is mapped: most of it, such as DWARF, is read once."""
    with _opened(path, _require_module) as file:
        if os.fstat(file.fileno()).st_size < _MAPPED or file.peek(4)[:4] != ELF_MAGIC:
            return file.read()
        return mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)


def map_linked(path: str) -> ElfImage | None:
    """A linked ELF file, such as vmlinux; None if the file is anything else."""
    with _opened(path, None) as file:
        head = file.peek(_HEAD)
        if not head.startswith(ELF_MAGIC) or head[16:18].strip(b"\0") not in _LINKED:
            return None
        data = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
    with located(path):
        return ElfImage(data)


def _require_module(head: bytes, size: int) -> None:
    if is_raw_btf(head):
        raise ElfError("is raw BTF, not a kernel module")
    if size > len(head) and not head.startswith(ELF_MAGIC) and recognise(head) is None:
        raise ElfError("is not an ELF file")
    if size > MOST_UNPACKED:
        raise ElfError(f"is larger than {MOST_UNPACKED} bytes, no module is")


def read_file(path: str, check: Callable[[bytes, int], None] | None = None) -> bytes:
    """The contents of a regular file, unless *check* refuses its first bytes or its size."""
    with _opened(path, check) as file:
        return file.read()


@contextmanager
def _opened(path: str, check: Callable[[bytes, int], None] | None) -> Iterator[io.BufferedReader]:
    try:
        with open_regular(path) as file:
            if check:
                fd = file.fileno()
                with located(path):
                    check(os.pread(fd, _HEAD, 0), os.fstat(fd).st_size)
            yield file
    except OSError as error:
        raise os_error(error, path) from error
