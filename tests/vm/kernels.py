# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Two builds of Debian's 6.12: the one that the headers are for, and one whose BTF differs."""

from __future__ import annotations

import re
import tarfile
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING, NamedTuple

from kbtf import open_btf
from oracles.build import Missing, cache_root, need, once, run

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "linux-headers-"
RELEASE = re.compile(r"(?P<series>6\.12)\.(?P<build>\d+)\+deb12-amd64")


class Kernel(NamedTuple):
    """A kernel that can be booted; its configuration lies beside it, where `kbtf check` looks."""

    release: str
    image: Path


def own_kernel(headers: Path, boot: Path) -> Kernel:
    """The kernel that modules built with *headers* are for: in the folder *boot*, or from apt."""
    release = headers.name.removeprefix(PREFIX)
    installed = boot / f"vmlinuz-{release}"
    return Kernel(release, installed) if installed.exists() else unpacked(release)


def other_kernel(own: Kernel) -> Kernel:
    """The newest older build, kept from before or from apt, whose BTF is not that of *own*."""
    btf = open_btf(str(own.image), cache=False).to_bytes()
    ours = build(own.release)
    older = {release for release in (*kept(), *offered()) if -1 < build(release) < ours}
    for release in sorted(older, key=build, reverse=True):
        kernel = unpacked(release)
        if open_btf(str(kernel.image), cache=False).to_bytes() != btf:
            return kernel
    raise Missing(f"apt offers no build of 6.12 older than {own.release} with other BTF")


def build(release: str) -> int:
    """The number of a build within the series; -1 for another series or flavour."""
    match = RELEASE.fullmatch(release)
    return int(match["build"]) if match else -1


def kept() -> list[str]:
    """The releases that were unpacked before."""
    return [path.name.removeprefix("kernel-") for path in cache_root().glob("kernel-*")]


def offered() -> list[str]:
    """The releases of which apt knows an image, signed or not."""
    need("apt-cache")
    names = run("apt-cache", "pkgnames", "linux-image-6.12.").split()
    return [name.removeprefix("linux-image-").removesuffix("-unsigned") for name in names]


def unpacked(release: str) -> Kernel:
    """The kernel of a package, unpacked into the cache and not installed."""

    def make(path: Path) -> None:
        need("apt-get", "dpkg-deb")
        folder = path.with_name("package")
        folder.mkdir()
        keep_boot(download(release, folder), path)

    folder = once(cache_root() / f"kernel-{release}", make)
    return Kernel(release, folder / f"vmlinuz-{release}")


def download(release: str, folder: Path) -> Path:
    """The package of a kernel's image; the one for signing differs in its signature only."""
    said = []
    for package in (f"linux-image-{release}-unsigned", f"linux-image-{release}"):
        try:
            run("apt-get", "-qq", "-o", "APT::Sandbox::User=", "download", package, cwd=folder)
        except RuntimeError as error:
            said.append(str(error))
        else:
            (deb,) = folder.glob("*.deb")
            return deb
    raise Missing(f"apt gives no image of {release}: {' '.join(said)}")


def keep_boot(deb: Path, into: Path) -> None:
    """Unpacks the kernel and its configuration."""
    into.mkdir()
    with (
        Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=PIPE) as unpack,
        tarfile.open(fileobj=unpack.stdout, mode="r|") as tar,
    ):
        for member in tar:
            name = member.name.removeprefix("./boot/")
            content = tar.extractfile(member) if member.isfile() else None
            if content and name.startswith(("vmlinuz-", "config-")):
                (into / name).write_bytes(content.read())
