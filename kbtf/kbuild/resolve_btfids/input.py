# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The input BTF of a stand-in, and the messages if it cannot be read."""

from __future__ import annotations

import errno
import os

from kbtf.btf.btf import Btf
from kbtf.elf.image import ElfImage
from kbtf.errors import KbtfError
from kbtf.files.source import Source
from kbtf.kbuild.console import Failure
from kbtf.kernel.btf_in_file import Wanted, btf_in_place


def load_split(path: str, base_path: str | None) -> Btf:
    """The BTF in *path*, on the base in *base_path*; Failure in the words of resolve_btfids."""
    base = None
    if base_path is not None:
        base = _load(base_path, None, "load base BTF")
    return _load(path, base, "load BTF")


def _load(path: str, base: Btf | None, what: str) -> Btf:
    try:
        with Source(path) as source:
            found = btf_in_place(source.data, Wanted(base, modules=True))
        if found is not None:
            btf = found.btf
        else:
            # A kernel image: resolve_btfids does not accept it, but there is no reason not to.
            from kbtf.kernel.base import open_btf

            btf = open_btf(path, base)
        if btf.base is not None:
            btf.check_fit()
        return btf
    except KbtfError as error:
        words = f"FAILED: {what} from {path}: {os.strerror(_number(path, error))}"
        error.file = error.file or path
        cause = str(error).replace("\n", "\\n")
        raise Failure(words, f"kbtf-resolve-btfids: {cause}") from error


def _number(path: str, error: KbtfError) -> int:
    """The errno that libbpf would have failed with."""
    if isinstance(error.__cause__, OSError):
        return error.__cause__.errno or errno.EIO
    if not os.path.getsize(path):
        return errno.EIO
    return errno.ENODATA if _lacks_section(path) else errno.EINVAL


def _lacks_section(path: str) -> bool:
    """Whether it is an ELF file without .BTF."""
    try:
        with Source(path) as source:
            return ElfImage(source.data).section(".BTF") is None
    except KbtfError:
        return False
