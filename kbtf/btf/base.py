# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The base BTF of a kernel, and what is known of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kbtf.errors import os_error

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf


class Base(NamedTuple):
    """The BTF of a kernel, and its origin."""

    btf: Btf
    source: str
    """The path that was given or found."""
    path: str | None
    """A file that pahole and libbpf take as ``--btf_base``: raw BTF or an ELF file.  None if there
    is none yet: see `base_file`."""
    release: str | None
    """Of the kernel; None if unknown."""
    notes: tuple[str, ...] = ()
    """Notes for the user on how it was found."""


def base_file(base: Base, folder: str) -> str:
    """`Base.path`; if there is none, a file of raw BTF that is written to *folder*."""
    if base.path is not None:
        return base.path
    path = os.path.join(folder, "base.btf")
    try:
        with open(path, "wb") as file:
            file.write(base.btf.to_bytes())
    except OSError as error:
        raise os_error(error, path) from error
    return path
