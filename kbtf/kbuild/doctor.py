# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What a build for a kernel build directory would do, and what is missing."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from kbtf.encode import pahole
from kbtf.encode.features import faults_of
from kbtf.errors import BaseNotFoundError, KbtfError, UsageError
from kbtf.findings.build import BUILD
from kbtf.kbuild.dkms_doctor import examine_dkms
from kbtf.kbuild.kdir import read_config, release_of, require_kdir
from kbtf.kbuild.sources import describes_modules, require_one_word
from kbtf.kernel.base import open_base
from kbtf.kernel.features import ModuleBtf, module_btf_support
from kbtf.kernel.find import find_base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.base import Base
    from kbtf.findings.finding import Finding

_RESOLVE_BTFIDS = "tools/bpf/resolve_btfids/resolve_btfids"


class Means(NamedTuple):
    """The parameters of a build other than the kernel build directory."""

    base: str | None = None
    pahole: str = "pahole"
    encoder: str = "kbtf"
    cache: bool = True


def examine(
    kdir: str, means: Means, *, objects: str | None = None, root: str = "/"
) -> list[Finding]:
    """Everything that affects the BTF of modules built in *kdir*, by dkms below *root* too.

    *objects* is the directory of the kernel's build products, if it is another one (``O=``).
    """
    try:
        require_kdir(kdir)
    except KbtfError as error:
        return [
            BUILD.finding("kernel", "unusable", kdir=kdir, why=error.what, hint=error.hint or "")
        ]
    kdir = objects or kdir
    if not os.path.isdir(kdir):
        hint = "name the directory of the kernel's build products with O=DIR"
        return [BUILD.finding("kernel", "unusable", kdir=kdir, why="is not a directory", hint=hint)]
    release = release_of(kdir)
    config = read_config(kdir)
    findings = [_kernel(kdir, release)]
    if config is None:
        findings.append(BUILD.finding("configuration", kdir=kdir))
    else:
        findings += _configuration(config)
        findings += _compiler(config)
    findings += _base(kdir, release, means)
    findings += _pahole(means, config or {})
    findings.append(_resolve_btfids(kdir))
    findings += _afterwards(kdir, config or {})
    findings += _sources(os.getcwd())
    findings += examine_dkms(root, release)
    return findings


def _kernel(kdir: str, release: str | None) -> Finding:
    running = os.uname().release
    if release is None:
        return BUILD.finding("kernel", "unnamed", kdir=kdir)
    case = "running" if release == running else "other"
    return BUILD.finding("kernel", case, kdir=kdir, release=release, running=running)


def _configuration(config: dict[str, str]) -> Iterator[Finding]:
    if config.get("DEBUG_INFO_BTF") not in ("y", "m"):
        yield BUILD.finding("kernel-btf", "unset")
        return
    yield BUILD.finding("kernel-btf", "set")
    if config.get("DEBUG_INFO_BTF_MODULES") != "y":
        yield BUILD.finding("module-btf", "unset")
        return
    yield BUILD.finding("module-btf", "set")
    if config.get("DEBUG_INFO") != "y":
        yield BUILD.finding("dwarf", "unset")
    if config.get("DEBUG_INFO_SPLIT") == "y":
        yield BUILD.finding("dwarf", "split")
    allowed = config.get("MODULE_ALLOW_BTF_MISMATCH") == "y"
    yield BUILD.finding("mismatch", "allowed" if allowed else "fatal")


def _compiler(config: dict[str, str]) -> Iterator[Finding]:
    wanted = config.get("CC_VERSION_TEXT", "")
    is_clang = config.get("CC_IS_CLANG") == "y"
    program = "clang" if is_clang else (wanted.split() or ["gcc"])[0]
    if not shutil.which("make"):
        yield BUILD.finding("make")
    if not shutil.which(program) and not shutil.which("clang" if is_clang else "gcc"):
        yield BUILD.finding("compiler", "missing", program=program)
    else:
        yield BUILD.finding("compiler", "clang" if is_clang else "gcc", version=wanted or program)


def _base(kdir: str, release: str | None, means: Means) -> Iterator[Finding]:
    """The vmlinux in *kdir*, then the base that a build would use."""
    yield from _own_vmlinux(kdir, means)
    try:
        if means.base:
            base = open_base(means.base, cache=means.cache)
        else:
            base = find_base(release or "", kdir=kdir, cache=means.cache)
    except KbtfError as error:
        missing = isinstance(error, BaseNotFoundError)
        hint = error.hint if missing and error.hint else "name another base with --base"
        yield BUILD.finding("base", "missing", why=error.without_hint, hint=hint)
        return
    if release and base.release and base.release != release:
        others = {"source": base.source, "found": base.release, "release": release}
        yield BUILD.finding("base", "other_release", **others)
        return
    types = len(base.btf)
    if base.release is None:
        yield BUILD.finding("base", "unnamed", source=base.source, types=types)
    else:
        yield BUILD.finding("base", "found", source=base.source, found=base.release, types=types)
    yield _relocation(base)


def _own_vmlinux(kdir: str, means: Means) -> Iterator[Finding]:
    path = os.path.join(kdir, "vmlinux")
    if not os.path.lexists(path):
        yield BUILD.finding("vmlinux", "missing", kdir=kdir)
        return
    try:
        open_base(path, cache=means.cache)
    except KbtfError as error:
        yield BUILD.finding("vmlinux", "unreadable", why=error)
    else:
        yield BUILD.finding("vmlinux", "found", path=path)


def _relocation(base: Base) -> Finding:
    cases = {ModuleBtf.RELOCATES: "relocates", ModuleBtf.EXACT: "exact", ModuleBtf.NONE: "none"}
    return BUILD.finding("relocation", cases[module_btf_support(base.btf)])


def _pahole(means: Means, config: dict[str, str]) -> Iterator[Finding]:
    needed = means.encoder == "pahole"
    try:
        version = pahole.version_of(means.pahole)
        pahole.flags_for(version)
    except KbtfError as error:
        if needed:
            hint = error.hint or "name another with --pahole"
            yield BUILD.finding("pahole", "needed", why=error.what, hint=hint)
        else:
            yield BUILD.finding("pahole", "unneeded", why=error.what)
        return
    here = f"{version[0]}.{version[1]}"
    faults = faults_of(version) if needed else []
    expected = _expected_pahole(config)
    what = f"{here} is installed"
    if expected and expected != version:
        what += f", the kernel's build expects {expected[0]}.{expected[1]}: make alone passes it "
        what += "the other one's options"
        what += ", kbtf its own" if needed else ""
    if faults:
        said = "; ".join(fault.what for fault in faults)
        yield BUILD.finding("pahole", "faulty", installed=what, faults=said)
    else:
        yield BUILD.finding("pahole", "found", installed=what)


def _expected_pahole(config: dict[str, str]) -> tuple[int, int] | None:
    number = config.get("PAHOLE_VERSION", "")
    return (int(number) // 100, int(number) % 100) if number.isdecimal() and int(number) else None


def _resolve_btfids(kdir: str) -> Finding:
    path = os.path.join(kdir, _RESOLVE_BTFIDS)
    is_there = os.access(path, os.X_OK) and os.path.isfile(path)
    return BUILD.finding("resolve-btfids", "found" if is_there else "missing", path=path)


def _afterwards(kdir: str, config: dict[str, str]) -> Iterator[Finding]:
    """What happens to modules after the build."""
    if config.get("MODULE_SIG") == "y":
        force = config.get("MODULE_SIG_FORCE") == "y"
        what = "the kernel loads signed modules only" if force else "the kernel checks signatures"
        if config.get("MODULE_SIG_ALL") == "y":
            what += ", and 'modules_install' signs if it has the key"
        is_there = os.path.exists(os.path.join(kdir, "scripts/sign-file"))
        no_program = "" if is_there else "; this directory has no scripts/sign-file"
        yield BUILD.finding("signing", what=what, no_program=no_program)
    kind = next((k for k in ("XZ", "ZSTD", "GZIP") if config.get(f"MODULE_COMPRESS_{k}")), None)
    if kind and config.get("MODULE_COMPRESS_ALL", "y") == "y":
        yield BUILD.finding("compression", kind=kind.lower())


def _sources(folder: str) -> Iterator[Finding]:
    """Whether a build in *folder*, if it has sources, would produce modules."""
    inner = os.path.join(folder, "src")
    if describes_modules(folder):
        try:
            require_one_word(folder, is_work=False)
        except UsageError as error:
            yield BUILD.finding("sources", "path", folder=folder, why=error.what, hint=error.hint)
    elif describes_modules(inner):
        yield BUILD.finding("sources", "below", folder=folder, inner=inner)
