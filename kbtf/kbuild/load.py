"""The BTF that a stand-in is given, and what is said where it cannot be read."""

from __future__ import annotations

import errno
import os

from kbtf.btf import _native
from kbtf.btf.btf import Btf
from kbtf.elf.contents import Wanted, btf_in_place
from kbtf.elf.files import Source
from kbtf.errors import KbtfError
from kbtf.kbuild.console import Failure


def load_split(path: str, base_path: str | None) -> Btf:
    """The BTF in *path*, on that in *base_path*; Failure in the words of resolve_btfids."""
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
            # A kernel image: resolve_btfids does not take it, but there is no reason not to.
            from kbtf.elf.vmlinux import open_btf

            btf = open_btf(path, base)
        if btf.base is not None:
            _native.check_fit(btf.index)
        return btf
    except KbtfError as error:
        words = f"FAILED: {what} from {path}: {os.strerror(_number(error))}"
        error.file = error.file or path
        cause = str(error).replace("\n", "\\n")
        raise Failure(words, f"kbtf-resolve-btfids: {cause}") from error


def _number(error: KbtfError) -> int:
    """The errno with which libbpf would have failed."""
    if isinstance(error.__cause__, OSError):
        return error.__cause__.errno or errno.EIO
    if "is empty" in error.what:
        return errno.EIO
    if "no section .BTF" in error.what:
        return errno.ENODATA
    return errno.EINVAL
