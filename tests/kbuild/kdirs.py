# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Kernel build directories to build modules in: Debian's, parts of them, and small made-up ones."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from kbtf.testing import make_base
from oracles.build import Missing, cache_root, need, once, run
from shown import block

__all__ = [
    "COMPILERS",
    "RELEASE",
    "THREE",
    "Missing",
    "OldKernel",
    "compiler_arguments",
    "old_kernel",
    "shadow",
    "small_kdir",
    "states",
    "three_modules",
    "users_arguments",
]

RELEASE = "6.12.0-test"
OLD_META = "linux-headers-amd64"
THREE = Path(__file__).parent.parent / "modules" / "three"
CONFIG = {
    "DEBUG_INFO": "y",
    "DEBUG_INFO_BTF": "y",
    "DEBUG_INFO_BTF_MODULES": "y",
    "PAHOLE_VERSION": "124",
    "CC_VERSION_TEXT": '"gcc (Test) 12.2.0"',
}

# What turns the configuration of a kernel built with gcc into one that clang 14 can work with.
_, _, *_CLANG = block("docs/kbuild.md", "clang").replace("\\\n", " ").split()
# LLVM=1 alone would do but for Debian's headers, which set CC themselves.
COMPILERS = {"gcc": [], "clang": _CLANG, "LLVM=1": ["LLVM=1", "LD=ld.lld", *_CLANG]}
NEEDED = {"gcc": ["gcc"], "clang": ["clang"], "LLVM=1": ["clang", "ld.lld", "llvm-objcopy"]}


class OldKernel(NamedTuple):
    """Debian 12's 6.1, whose headers have no vmlinux and which cannot relocate."""

    kdir: Path
    vmlinuz: Path


def shadow(kdir: Path, into: Path, *without: str) -> Path:
    """A folder with links to all of *kdir* but the paths in *without*."""
    into.mkdir(parents=True)
    for entry in kdir.iterdir():
        inner = [name.removeprefix(f"{entry.name}/") for name in without]
        inner = [new for new, old in zip(inner, without, strict=True) if new != old]
        if inner:
            shadow(entry, into / entry.name, *inner)
        elif entry.name not in without:
            (into / entry.name).symlink_to(entry.resolve())
    return into


def small_kdir(folder: Path, *, release: str = RELEASE, **config: str) -> Path:
    """A build directory that one can look at but not build in; with a vmlinux."""
    (folder / "include/config").mkdir(parents=True)
    (folder / "include/generated").mkdir()
    (folder / "Makefile").touch()
    (folder / "include/generated/utsrelease.h").write_text(f'#define UTS_RELEASE "{release}"\n')
    lines = [f"CONFIG_{name}={value}\n" for name, value in {**CONFIG, **config}.items() if value]
    (folder / "include/config/auto.conf").write_text("".join(lines))
    (folder / "vmlinux").write_bytes(make_base().to_bytes())
    return folder


def old_kernel() -> OldKernel:
    """What it takes to build for Debian 12's 6.1, unpacked but not installed."""
    target = cache_root() / "headers-6.1"

    def make(path: Path) -> None:
        need("apt-get", "apt-cache", "dpkg-deb")
        path.mkdir()
        try:
            depends = run("apt-cache", "depends", OLD_META)
            found = re.search(r"linux-headers-(6\.1\.\S+)-amd64", depends)
            if not found:
                raise Missing(f"{OLD_META} depends on no 6.1: {depends}")
            names = [f"linux-headers-{found[1]}-{part}" for part in ("amd64", "common")]
            names += ["linux-kbuild-6.1", f"linux-image-{found[1]}-amd64"]
            debs = path / "debs"
            debs.mkdir()
            run("apt-get", "-qq", "download", *names, cwd=debs)
        except RuntimeError as error:
            raise Missing(f"no headers of 6.1: {error}") from error
        for deb in debs.iterdir():
            run("dpkg-deb", "--extract", deb, path)
        shutil.rmtree(debs)
        shutil.rmtree(path / "lib")
        (makefile,) = path.glob("usr/src/linux-headers-*-amd64/Makefile")
        makefile.write_text(makefile.read_text().replace("/usr/src/", f"{target}/usr/src/"))

    root = once(target, make)
    (kdir,) = root.glob("usr/src/linux-headers-*-amd64")
    (vmlinuz,) = root.glob("boot/vmlinuz-*")
    return OldKernel(kdir, vmlinuz)


def three_modules(into: Path) -> Path:
    """A copy of the project of three modules, whose users take symbols of the provider."""
    return Path(shutil.copytree(THREE, into))


def compiler_arguments(name: str) -> list[str]:
    """What make is given to build with one of `COMPILERS`; Missing if it is not installed."""
    need(*NEEDED[name])
    return COMPILERS[name]


def users_arguments(project: Path) -> list[str]:
    """What make is given for the second folder of that project."""
    provider = project / "provider"
    return [f"KBUILD_EXTRA_SYMBOLS={provider}/Module.symvers", f"KCPPFLAGS=-I{provider}"]


def states(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every file below a folder, to see what was written again."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}
