"""The kernels to check against, wherever they come from."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING

from kbtf.btf.rules import rules_of
from kbtf.btf.support import module_btf_support
from kbtf.elf.find import find_base
from kbtf.elf.vmlinux import open_base
from kbtf.errors import BaseNotFoundError, KbtfError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf
    from kbtf.btf.rules import Rules
    from kbtf.btf.support import ModuleBtf
    from kbtf.elf.vmlinux import Base

_MISMATCH = "CONFIG_MODULE_ALLOW_BTF_MISMATCH"

# Below a directory, or below each of its directories: an installation, or unpacked packages.
_PLACES = (
    "vmlinux",
    "vmlinux-*",
    "vmlinuz-*",
    "*.btf",
    "*.btf.*",
    "boot/vmlinuz-*",
    "boot/vmlinux-*",
    "lib/modules/*/vmlinu[xz]",
    "usr/lib/modules/*/vmlinu[xz]",
    "usr/lib/debug/boot/vmlinux-*",
    "usr/src/linux-headers-*/vmlinux",
)
_NO_KERNELS = (".old", ".bak", ".dpkg-tmp", ".sig")


class Kernel(NamedTuple):
    """A kernel, as far as it matters to the BTF of modules."""

    name: str
    """Its release if that is known, else its file."""
    source: str
    release: str | None
    btf: Btf
    support: ModuleBtf
    rules: Rules
    allow_mismatch: bool | None
    """Whether CONFIG_MODULE_ALLOW_BTF_MISMATCH is set; None if no configuration was found."""


def open_kernels(wanted: str, *, cache: bool = True) -> list[Kernel]:
    """The kernels that *wanted* means: a file, a release, or a directory of kernels.

    BaseNotFoundError if there is none; KbtfError names a file that cannot be read.
    """
    if os.path.isdir(wanted):
        return [kernel_of(open_base(path, cache=cache)) for path in _kernels_below(wanted)]
    if os.path.lexists(wanted) or "/" in wanted:
        return [kernel_of(open_base(wanted, cache=cache))]
    return [kernel_of(find_base(wanted, cache=cache))]


def kernel_of(base: Base) -> Kernel:
    """What there is to know of the kernel whose BTF is *base*."""
    return Kernel(
        name=base.release or base.source,
        source=base.source,
        release=base.release,
        btf=base.btf,
        support=module_btf_support(base.btf),
        rules=rules_of(base.btf, base.release),
        allow_mismatch=_allow_mismatch(base),
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


def _allow_mismatch(base: Base) -> bool | None:
    folder = os.path.dirname(base.source)
    places = [os.path.join(folder, name) for name in ("include/config/auto.conf", ".config")]
    if base.release:
        places += [
            os.path.join(folder, f"config-{base.release}"),
            os.path.join(folder, "config"),
            f"/lib/modules/{base.release}/build/.config",
            f"/boot/config-{base.release}",
        ]
    for place in places:
        try:
            with open(place, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        return f"\n{_MISMATCH}=y\n" in f"\n{text}"
    return None


class KernelSet:
    """Kernels that are opened once, however many modules are checked against them."""

    def __init__(self, *, cache: bool = True) -> None:
        self._cache = cache
        self._opened: dict[str, list[Kernel] | KbtfError] = {}

    def get(self, wanted: str) -> list[Kernel]:
        """As `open_kernels`."""
        if wanted not in self._opened:
            try:
                self._opened[wanted] = open_kernels(wanted, cache=self._cache)
            except KbtfError as error:
                self._opened[wanted] = error
        found = self._opened[wanted]
        if isinstance(found, KbtfError):
            raise found
        return found
