# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernels that the lab has headers of, unpacked: image, configuration and modules."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from oracles.build import cache_root, need, run, unpacked
from vm.kernels import Kernel

from .kept import kept

if TYPE_CHECKING:
    from lab.debian import Debian

__all__ = ["kernel", "modules", "source"]


def kernel(debian: Debian, release: str) -> Kernel:
    """A kernel that can be booted; its configuration is where `kbtf check` looks for it."""
    installed = debian.root / f"boot/vmlinuz-{release}"
    if installed.exists():
        return Kernel(release, installed)
    root = _unpacked(debian, "kernel", release, "linux-binary", "linux-base")
    return Kernel(release, root / f"usr/lib/modules/{release}/vmlinuz")


def modules(debian: Debian, release: str) -> list[Path]:
    """All its modules, as the packages have them: compressed."""
    place = Path("usr/lib/modules", release, "kernel")
    root = debian.root
    if not (root / place).exists():
        root = _unpacked(debian, "modules", release, "linux-modules")
    return sorted((root / place).rglob("*.ko*"))


def source(debian: Debian, release: str) -> Path:
    """The part of its source that the peers are built from."""
    package = f"linux-source-{'.'.join(release.split('.')[:2])}"
    target = cache_root() / f"{package}_{release}" / "source"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (deb,) = debian.download(folder, package)
        run("dpkg-deb", "--extract", deb, folder)
        return unpacked(folder / "usr/src" / f"{package}.tar.xz", target)


def _unpacked(debian: Debian, part: str, release: str, *packages: str) -> Path:
    def make(path: Path) -> None:
        need("dpkg-deb")
        into = path.with_name("debs")
        into.mkdir()
        for deb in debian.download(into, *(f"{name}-{release}" for name in packages)):
            run("dpkg-deb", "--extract", deb, path)

    return kept(f"lab-{part}-{release}", make)
