# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Modules with DWARF, as linked, and their vmlinux."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import real
from oracles.build import cache_root, need, once, run

if TYPE_CHECKING:
    from kbtf import Module

INSTALLED = Path("/usr/lib/debug")
PACKAGE = re.compile(r"linux-image-(?P<release>\d+\.\d+.*-cloud-amd64)-dbg")


class DebugModules(NamedTuple):
    """A directory of modules, the raw BTF of their kernel, and the vmlinux that it is from."""

    tree: Path
    base: Path
    vmlinux: Path

    def kernel(self) -> Path:
        """The vmlinux, if it has DWARF as the modules do."""
        from kbtf.elf.files import map_linked
        from kbtf.encode.dwarf import has_dwarf

        image = map_linked(str(self.vmlinux))
        if image is None or not has_dwarf(image):
            raise real.Missing(f"{self.vmlinux} has no DWARF")
        return self.vmlinux

    def module(self, name: str) -> Path:
        """One of them."""
        for path in self.tree.rglob(f"{name}.ko"):
            return path
        raise real.Missing(f"no {name}.ko in {self.tree}")


def find_debug_modules(given: Path | None, kbtf: Path, folder: Path) -> DebugModules:
    """Those of *given*, of an installed -dbg package, or of Debian's cloud kernel by apt."""
    if given is not None:
        return _prepare(given, kbtf, folder / "debug")
    for tree in sorted(INSTALLED.glob("lib/modules/*"), reverse=True):
        return _prepare(tree, kbtf, folder / "debug")
    package, release = _newest_package()

    def make(path: Path) -> None:
        run("apt-get", "-qq", "-o", "APT::Sandbox::User=", "download", package, cwd=path.parent)
        (deb,) = path.parent.glob("*.deb")
        unpacked = path.with_name("unpacked")
        run("dpkg-deb", "-x", deb, unpacked)
        found = _prepare(unpacked / f"usr/lib/debug/lib/modules/{release}", kbtf, path)
        found.vmlinux.resolve().rename(path / "vmlinux")

    made = once(cache_root() / package, make)
    return DebugModules(made / "modules", made / "vmlinux.btf", made / "vmlinux")


def _newest_package() -> tuple[str, str]:
    need("apt-get", "apt-cache", "dpkg-deb")
    names = run("apt-cache", "pkgnames", "linux-image-").split()
    found = [match for name in names if (match := PACKAGE.fullmatch(name))]
    if not found:
        raise real.Missing("no modules with DWARF: install a linux-image-*-dbg, or use --tree")
    newest = max(found, key=lambda m: [int(n) for n in re.findall(r"\d+", m["release"])])
    return newest[0], newest["release"]


def _prepare(source: Path, kbtf: Path, into: Path) -> DebugModules:
    """The modules of *source* that have DWARF, and their kernel's BTF, below *into*."""
    from kbtf import KbtfError, Module
    from kbtf.encode.dwarf import has_dwarf

    tree, base = into / "modules", into / "vmlinux.btf"
    release = None
    for path in sorted(source.rglob("*.ko*")):
        try:
            module = Module.open(str(path))
        except KbtfError:
            continue  # a file that is not a module, such as .ko.debug
        if not has_dwarf(module.image):
            continue
        release = module.release
        target = tree / path.relative_to(source)
        target = target.with_name(target.name.partition(".ko")[0] + ".ko")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_as_linked(module))
    if release is None:
        raise real.Missing(f"no modules with DWARF in {source}")
    vmlinux = _vmlinux(source, release)
    run(kbtf, "base", "--no-cache", vmlinux, "-o", base)
    return DebugModules(tree, base, vmlinux)


def _as_linked(module: Module) -> bytes:
    """Remove the signature and BTF, and reset the ids."""
    from kbtf.ids.btf_ids import read_ids

    module.require_unsigned(strip=True)
    module.remove_section(".BTF")
    module.remove_section(".BTF.base")
    ids = read_ids(module.image)
    if ids is not None:
        resolved = ids.id_words.union(each.at for each in ids.sets)
        words = tuple(0 if at in resolved else word for at, word in enumerate(ids.words))
        module.btf_ids = ids._replace(words=words).to_bytes()
    return module.to_bytes()


def _vmlinux(source: Path, release: str) -> Path:
    root = source.parents[2] if len(source.parents) > 2 else source
    places = (
        source / "vmlinux",
        root / f"boot/vmlinux-{release}",
        INSTALLED / f"boot/vmlinux-{release}",
    )
    for path in (*places, Path(f"/usr/src/linux-headers-{release}/vmlinux")):
        if path.exists():
            return path
    raise real.Missing(f"no vmlinux of {release} beside {source}")
