# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernels to check against: files, releases, and directories of kernels."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.rules import rules_of
from kbtf.errors import BaseNotFoundError, KbtfError
from kbtf.files.paths import is_below
from kbtf.files.small import text_if_readable
from kbtf.kernel.base import open_base
from kbtf.kernel.features import module_btf_support
from kbtf.kernel.find import find_base

if TYPE_CHECKING:
    from kbtf.btf.base import Base
    from kbtf.btf.btf import Btf
    from kbtf.btf.rules import Rules
    from kbtf.kernel.features import ModuleBtf

_MISMATCH = "CONFIG_MODULE_ALLOW_BTF_MISMATCH"

# Below a directory or each of its subdirectories: an installation, or unpacked packages.
_PLACES = (
    "vmlinux",
    "vmlinux-*",
    "vmlinuz-*",
    "*.btf",
    "*.btf.*",
    "boot/vmlinuz-*",
    "boot/vmlinux-*",
    "vmlinuz",
    "build/vmlinux",
    "lib/modules/*/vmlinu[xz]",
    "usr/lib/modules/*/vmlinu[xz]",
    "usr/lib/debug/boot/vmlinux-*",
    "usr/src/linux-headers-*/vmlinux",
)
_NO_KERNELS = (".old", ".bak", ".dpkg-tmp", ".sig")


class Kernel(NamedTuple):
    """The facts about a kernel that matter for the BTF of modules."""

    name: str
    """Its release if known, else its file."""
    source: str
    release: str | None
    btf: Btf
    support: ModuleBtf
    rules: Rules
    allow_mismatch: bool | None
    """Whether CONFIG_MODULE_ALLOW_BTF_MISMATCH is set; None if no configuration was found."""


def open_kernel(wanted: str, *, cache: bool = True) -> Kernel:
    """The kernel that *wanted* names: a file or a release.

    BaseNotFoundError if there is none; KbtfError names a file that cannot be read.
    """
    if os.path.lexists(wanted) or "/" in wanted:
        return kernel_of(open_base(wanted, cache=cache))
    try:
        return kernel_of(find_base(wanted, cache=cache))
    except BaseNotFoundError as error:
        error.hint = "name its vmlinux, vmlinuz or raw BTF with --kernel"
        raise


def open_directory(folder: str, *, cache: bool = True) -> tuple[list[Kernel], list[KbtfError]]:
    """The kernels in *folder*, and why other files there that are named like kernels are not.

    KbtfError if there is no kernel at all.
    """
    kernels, errors = [], []
    for path in _kernels_below(folder):
        try:
            kernels.append(kernel_of(open_base(path, cache=cache)))
        except KbtfError as error:
            errors.append(error)
    if not kernels:
        raise errors[0]
    return kernels, errors


def kernel_of(base: Base, *, root: str = "/") -> Kernel:
    """The facts about the kernel whose BTF is *base*, with its configuration below *root*."""
    return Kernel(
        name=base.release or base.source,
        source=base.source,
        release=base.release,
        btf=base.btf,
        support=module_btf_support(base.btf),
        rules=rules_of(base.btf, base.release),
        allow_mismatch=is_set(_MISMATCH, base.source, base.release, root=root),
    )


def _kernels_below(folder: str) -> list[str]:
    if os.path.exists(os.path.join(folder, "vmlinux")):
        return [os.path.join(folder, "vmlinux")]  # a kernel build directory
    found: dict[str, str] = {}
    for below in ("", "*"):
        for place in _PLACES:
            for path in sorted(glob.glob(os.path.join(glob.escape(folder), below, place))):
                if not path.endswith(_NO_KERNELS) and os.path.isfile(path):
                    found.setdefault(os.path.realpath(path), path)
    if not found:
        raise BaseNotFoundError("no kernel in this directory or in those below it", file=folder)
    return sorted(found.values())


def is_set(option: str, source: str, release: str | None, *, root: str = "/") -> bool | None:
    """Whether a kernel's configuration sets *option* to y; None if it was not found.

    It is searched for next to the file *source* of its BTF, then in the places below *root* for the
    configuration of *release*.
    """
    folder = os.path.dirname(source)
    places = [os.path.join(folder, name) for name in ("include/config/auto.conf", ".config")]
    if release:
        places += [
            os.path.join(folder, f"config-{release}"),
            os.path.join(folder, "config"),
            os.path.join(root, f"lib/modules/{release}/build/.config"),
            os.path.join(root, f"boot/config-{release}"),
        ]
    for place in places:
        if is_below(root, place) and (text := text_if_readable(place)):
            return f"\n{option}=y\n" in f"\n{text}"
    return None


class KernelSet:
    """Kernels that are opened once, regardless of how many modules are checked against them."""

    def __init__(self, *, cache: bool = True) -> None:
        self._cache = cache
        self._opened: dict[str, list[Kernel] | KbtfError] = {}
        self.passed_over: list[KbtfError] = []
        """Files in directories that are named like kernels but are not."""

    def get(self, wanted: str) -> list[Kernel]:
        """Like `open_kernel`, or all kernels of a directory."""
        if wanted not in self._opened:
            try:
                self._opened[wanted] = self._open(wanted)
            except KbtfError as error:
                self._opened[wanted] = error
        found = self._opened[wanted]
        if isinstance(found, KbtfError):
            raise found
        return found

    def _open(self, wanted: str) -> list[Kernel]:
        if not os.path.isdir(wanted):
            return [open_kernel(wanted, cache=self._cache)]
        kernels, errors = open_directory(wanted, cache=self._cache)
        self.passed_over += errors
        return kernels
