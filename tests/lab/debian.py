# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Debian 13 in a directory, with what builds modules for 6.12 and for two 7.x kernels.

It is made once a week and kept in the cache of the tests.  The newest kernels that trixie-backports
offers are taken, or sid where it has fewer than two; which ones they are, the directory tells.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from oracles.build import Missing, need, run

from .kept import kept, remove_unused

__all__ = ["WHICH", "Debian", "debian", "version"]

WHICH = ("7.x", "7.x before", "6.12.x")
"""The kernels of the lab: the newest, the newest of another series, and Debian 13's own."""

CHROOT = Path(__file__).parent.parent / "chroot.sh"
SUITE = "trixie"
PACKAGES = (
    "clang",
    "dkms",
    "g++",
    "gcc",
    "kmod",
    "make",
    "pahole",
    "python3-dev",
    "python3-venv",
)
MIRROR = "http://deb.debian.org/debian"
SOURCES = f"""\
deb {MIRROR} {SUITE} main
deb {MIRROR} {SUITE}-backports main
deb {MIRROR} sid main
"""
# Only what is asked for by version comes from there.
PINNED = "Package: *\nPin: release a=unstable\nPin-Priority: 1\n"
# The headers of 6.12 need its image, which makes an initramfs, twice.
NO_INITRAMFS = """\
dpkg-divert --quiet --local --add --rename --divert /usr/sbin/update-initramfs.real \\
    /usr/sbin/update-initramfs
ln -s /bin/true /usr/sbin/update-initramfs
"""
PARTS = ("kernel", "modules")
"""What `kernels` keeps beside the directory, for each release."""
HEADERS = re.compile(r"linux-headers-(?P<release>\d+\.\d+\.\d+\+deb\d+-amd64)")


class Debian(NamedTuple):
    """The directory, and what can be done in it."""

    root: Path

    def run(self, *command: str | Path, work: Path | None = None) -> str:
        """Run a command there, in *work* of this machine; its standard output."""
        env = {**os.environ, "KBTF_CHROOT_WORK": str(work or "")}
        words = ["bash", str(CHROOT), "run", str(self.root), *map(str, command)]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr)[-4000:]
            raise RuntimeError(f"{' '.join(words[4:])}: exit {done.returncode}\n{said}")
        return done.stdout

    @property
    def releases(self) -> list[str]:
        """Of the kernels whose headers are there, the newest first."""
        found = [path.name for path in (self.root / "lib/modules").iterdir()]
        return sorted(found, key=version, reverse=True)

    def release(self, which: str) -> str:
        """That of a kernel called as in `WHICH`; Missing if apt had none."""
        series, _, at = which.partition(" ")
        major = tuple(map(int, series.split(".")[:-1]))
        found = [r for r in self.releases if version(r)[: len(major)] == major]
        if len(found) <= bool(at):
            raise Missing(f"apt offers no {which} for Debian 13, only {', '.join(self.releases)}")
        return found[bool(at)]

    def headers(self, release: str) -> Path:
        """The kernel build directory, as it is called inside."""
        return Path("/usr/src") / f"linux-headers-{release}"

    def vmlinux(self, release: str) -> Path:
        """The vmlinux of these headers, as it is called outside."""
        return self.root / self.headers(release).relative_to("/") / "vmlinux"

    def program(self, path: Path | str) -> list[str]:
        """How a program of that Debian is run outside: with its own loader and libraries."""
        libraries = self.root / "usr/lib/x86_64-linux-gnu"
        loader = self.root / "lib64/ld-linux-x86-64.so.2"
        inside = self.root / str(path).lstrip("/")
        return [str(loader), "--library-path", str(libraries), str(inside)]

    def resolve_btfids(self, release: str) -> list[str]:
        """The original, as a command of this machine."""
        kbuild = f"usr/lib/linux-kbuild-{release.removesuffix('-amd64')}"
        return self.program(f"{kbuild}/tools/bpf/resolve_btfids/resolve_btfids")

    def download(self, into: Path, *packages: str) -> list[Path]:
        """Packages as files; Missing if apt has none of one of these names."""
        command = ("apt-get", "-qq", "-o", "APT::Sandbox::User=", "download", *packages)
        try:
            self.run(*command, work=into)
        except RuntimeError as error:
            raise Missing(f"apt gives no {' or no '.join(packages)}: {error}") from error
        return sorted(into.glob("*.deb"))


def version(release: str) -> tuple[int, ...]:
    """The numbers of a release."""
    return tuple(int(number) for number in re.findall(r"\d+", release.partition("-")[0]))


def debian() -> Debian:
    """The directory of this week; Missing if this machine cannot make one."""
    need("debootstrap", "unshare")
    if os.geteuid():
        raise Missing("a Debian in a directory takes root")
    recipe = hashlib.sha256(repr((PACKAGES, SOURCES, PINNED, NO_INITRAMFS)).encode())
    name = f"lab-{time.strftime('%G-%V')}-{recipe.hexdigest()[:8]}"
    found = Debian(kept(name, _make))
    of_kernels = {f"lab-{part}-{release}" for part in PARTS for release in found.releases}
    remove_unused("lab-*", {name, *of_kernels})
    return found


def _make(path: Path) -> None:
    run("bash", CHROOT, "make", path, SUITE)
    (path / "etc/apt/sources.list").write_text(SOURCES)
    (path / "etc/apt/preferences.d/sid").write_text(PINNED)
    made = Debian(path)
    # A suite that is out of step with its signed index is left out; what is then missing is told.
    made.run("sh", "-c", "apt-get update -qq || true")
    chosen = _chosen(made.run("apt-cache", "pkgnames", "linux-headers-").split())
    names = [f"linux-headers-{release}" for release in chosen]
    made.run("sh", "-ec", NO_INITRAMFS)
    made.run("apt-get", "install", "-qq", "--no-install-recommends", *PACKAGES, *names)
    made.run("apt-get", "clean")


def _chosen(names: list[str]) -> list[str]:
    """The newest release of the two newest series of 7.x, and of 6.12; those of Debian 13 first."""
    found = [match["release"] for name in names if (match := HEADERS.fullmatch(name))]
    found.sort(key=lambda release: ("+deb13-" in release, version(release)), reverse=True)
    newest: dict[tuple[int, ...], str] = {}
    for release in found:
        newest.setdefault(version(release)[:2], release)
    sevens = [release for series, release in newest.items() if series >= (7,)]
    return [*sevens[:2], *(release for series, release in newest.items() if series == (6, 12))]
