# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The installed kernels, with their modules and the initramfs they boot with."""

from __future__ import annotations

import glob
import os
from typing import NamedTuple

from kbtf.errors import KbtfError
from kbtf.files.formats import MODULE_SUFFIXES
from kbtf.files.paths import within
from kbtf.files.small import text_if_readable
from kbtf.kernel.release import is_release

_MODULES = ("lib/modules", "usr/lib/modules")
_ESP = ("boot", "boot/efi", "efi")
_INITRAMFS = (
    "boot/initrd.img-{}",  # Debian, Ubuntu
    "boot/initramfs-{}.img",  # Fedora, RHEL, Gentoo
    "boot/initrd-{}",  # openSUSE
    "boot/*/{}/initrd",  # kernel-install, type 1 entries of the Boot Loader Specification
    "boot/efi/*/{}/initrd",
    "efi/*/{}/initrd",
    *(  # unified kernel images, type 2 entries; the name may have a counter of boot attempts
        f"{esp}/EFI/Linux/{name}.efi" for esp in _ESP for name in ("{}", "*-{}", "*-{}+*")
    ),
)


class InstalledKernel(NamedTuple):
    """A release that has modules on this machine."""

    release: str
    modules: str
    """The directory of its modules."""
    initramfs: str | None
    """The image it boots with; None if none was found in the usual places of distributions."""


def installed_kernels(root: str = "/") -> list[InstalledKernel]:
    """The kernels below *root*, sorted by name."""
    found: dict[str, InstalledKernel] = {}
    for place in _MODULES:
        for path in sorted(glob.glob(os.path.join(glob.escape(root), place, "*"))):
            release = os.path.basename(path)
            folder = _within(root, path)
            if folder and is_release(release) and os.path.isdir(os.path.join(folder, "kernel")):
                kernel = InstalledKernel(release, folder, _initramfs(root, folder, release))
                found.setdefault(release, kernel)
    return [found[release] for release in sorted(found)]


def _initramfs(root: str, folder: str, release: str) -> str | None:
    places = [place.format(glob.escape(release)) for place in _INITRAMFS]
    name = text_if_readable(os.path.join(folder, "pkgbase"))[:256].strip()  # Arch
    if name and "/" not in name:
        places.append(f"boot/initramfs-{glob.escape(name)}.img")
        places += [f"{esp}/EFI/Linux/arch-{glob.escape(name)}.efi" for esp in _ESP]
    for place in places:
        for path in sorted(glob.glob(os.path.join(glob.escape(root), place))):
            image = _within(root, path)
            if image:
                return image
    return None


def _within(root: str, path: str) -> str | None:
    """*path* as the system below *root* sees it; None if it does not exist there."""
    try:
        found = within(root, path)
    except KbtfError:
        return None
    return found if os.path.lexists(found) else None


def module_files(kernel: InstalledKernel) -> list[str]:
    """The paths of its modules, those in updates/, extra/ and weak-updates/ included."""
    found = []
    for folder, folders, names in os.walk(kernel.modules):
        folders.sort()
        found += [
            os.path.join(folder, name) for name in sorted(names) if name.endswith(MODULE_SUFFIXES)
        ]
    return found
