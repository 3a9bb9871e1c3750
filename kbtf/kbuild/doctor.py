"""What a build for a kernel build directory would do, and what is missing."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from kbtf.btf.support import ModuleBtf, module_btf_support
from kbtf.elf.find import find_base
from kbtf.elf.vmlinux import open_base
from kbtf.errors import BaseNotFoundError, KbtfError
from kbtf.kbuild.kdir import read_config, release_of, require_kdir
from kbtf.plugins import pahole as encoder
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.elf.vmlinux import Base

OK, NOTE, PROBLEM = "ok", "note", "problem"
_RESOLVE_BTFIDS = "tools/bpf/resolve_btfids/resolve_btfids"


class Finding(NamedTuple):
    """One thing that was looked at."""

    topic: str
    level: str
    """``ok``; ``note``: worth knowing, a build copes; ``problem``: something will go wrong."""
    what: str
    remedy: str = ""


class Means(NamedTuple):
    """What a build is given beside the kernel build directory."""

    base: str | None = None
    pahole: str = "pahole"
    cache: bool = True


def examine(kdir: str, means: Means) -> list[Finding]:
    """Everything that decides what modules built in *kdir* get."""
    try:
        require_kdir(kdir)
    except KbtfError as error:
        return [Finding("kernel", PROBLEM, f"{kdir} {error.what}", error.hint or "")]
    release = release_of(kdir)
    config = read_config(kdir)
    findings = [_kernel(kdir, release)]
    if config is None:
        findings.append(
            Finding(
                "configuration",
                PROBLEM,
                f"{kdir} has no include/config/auto.conf",
                "install the headers anew, or run 'make modules_prepare' in a kernel's sources",
            )
        )
    else:
        findings += _configuration(config)
        findings += _compiler(config)
    findings += _base(kdir, release, means)
    findings += _pahole(means.pahole, config or {})
    findings.append(_resolve_btfids(kdir))
    findings += _afterwards(kdir, config or {})
    return findings


def _kernel(kdir: str, release: str | None) -> Finding:
    running = os.uname().release
    if release is None:
        return Finding("kernel", NOTE, f"{kdir} does not say which release it is of")
    what = f"{kdir} is of {release}"
    if release != running:
        what += f" (running is {running}, whose BTF is not a base for this build)"
    return Finding("kernel", OK, what)


def _configuration(config: dict[str, str]) -> Iterator[Finding]:
    if config.get("DEBUG_INFO_BTF") not in ("y", "m"):
        yield Finding(
            "kernel BTF",
            PROBLEM,
            "CONFIG_DEBUG_INFO_BTF is not set: the kernel has no BTF, and takes no module BTF",
            "use a kernel with CONFIG_DEBUG_INFO_BTF=y",
        )
        return
    yield Finding("kernel BTF", OK, "CONFIG_DEBUG_INFO_BTF is set")
    if config.get("DEBUG_INFO_BTF_MODULES") != "y":
        yield Finding(
            "module BTF",
            PROBLEM,
            "CONFIG_DEBUG_INFO_BTF_MODULES is not set: the kernel takes no module BTF",
            "use a kernel with CONFIG_DEBUG_INFO_BTF_MODULES=y; this one cannot register kfuncs",
        )
        return
    yield Finding("module BTF", OK, "CONFIG_DEBUG_INFO_BTF_MODULES is set")
    if config.get("DEBUG_INFO") != "y":
        yield Finding(
            "DWARF",
            PROBLEM,
            "CONFIG_DEBUG_INFO is not set: modules get no DWARF to make BTF from",
            "build with KCFLAGS=-g",
        )
    if config.get("MODULE_ALLOW_BTF_MISMATCH") == "y":
        yield Finding(
            "mismatch",
            NOTE,
            "CONFIG_MODULE_ALLOW_BTF_MISMATCH is set: a module whose BTF does not fit loads "
            "without BTF, and its kfuncs are not there",
            "judge modules by 'kbtf check', not by insmod",
        )
    else:
        yield Finding(
            "mismatch",
            NOTE,
            "CONFIG_MODULE_ALLOW_BTF_MISMATCH is not set: a module whose BTF does not fit fails "
            "to load",
            "run 'kbtf check' for the kernels that it is for",
        )


def _compiler(config: dict[str, str]) -> Iterator[Finding]:
    wanted = config.get("CC_VERSION_TEXT", "")
    is_clang = config.get("CC_IS_CLANG") == "y"
    program = "clang" if is_clang else (wanted.split() or ["gcc"])[0]
    if not shutil.which("make"):
        yield Finding("make", PROBLEM, "make is not installed", "install the package make")
    if not shutil.which(program) and not shutil.which("clang" if is_clang else "gcc"):
        yield Finding("compiler", PROBLEM, f"{program} is not installed", f"install {program}")
    elif is_clang:
        what = f"the kernel was built with {wanted}"
        yield Finding("compiler", NOTE, what, "build modules with LLVM=1")
    else:
        yield Finding("compiler", OK, f"the kernel was built with {wanted or program}")


def _base(kdir: str, release: str | None, means: Means) -> Iterator[Finding]:
    """The vmlinux in *kdir*, then the base that a build would take."""
    yield from _own_vmlinux(kdir, means)
    try:
        if means.base:
            base = open_base(means.base, cache=means.cache)
        else:
            base = find_base(release or "", kdir=kdir, cache=means.cache)
    except KbtfError as error:
        missing = isinstance(error, BaseNotFoundError)
        hint = error.hint if missing and error.hint else "name another base with --base"
        yield Finding("base", PROBLEM, str(error).removesuffix(f"; {error.hint}"), _get_base(hint))
        return
    if release and base.release and base.release != release:
        yield Finding(
            "base",
            PROBLEM,
            f"{base.source} is of {base.release}: refused for modules of {release}",
            f"name the vmlinux, vmlinuz or raw BTF of {release} with --base",
        )
        return
    of = "of unknown release" if base.release is None else f"of {base.release}"
    yield Finding("base", OK, f"{base.source} {of}, {len(base.btf)} types")
    yield _relocation(base)


def _get_base(hint: str) -> str:
    return f"{hint}; the kernel's image package has a vmlinuz, which will do"


def _own_vmlinux(kdir: str, means: Means) -> Iterator[Finding]:
    path = os.path.join(kdir, "vmlinux")
    if not os.path.lexists(path):
        yield Finding(
            "vmlinux",
            NOTE,
            f"{kdir} has none: make alone says 'Skipping BTF generation' and makes no BTF, "
            "'kbtf build' takes the base that follows",
        )
        return
    try:
        open_base(path, cache=means.cache)
    except KbtfError as error:
        yield Finding(
            "vmlinux",
            NOTE,
            f"{error}: make alone fails on it, 'kbtf build' passes it over",
            "install the headers anew, or remove the file",
        )
    else:
        yield Finding("vmlinux", OK, path)


def _relocation(base: Base) -> Finding:
    support = module_btf_support(base.btf)
    if support is ModuleBtf.RELOCATES:
        return Finding("relocation", OK, "the kernel can relocate: modules get .BTF.base")
    if support is ModuleBtf.EXACT:
        return Finding(
            "relocation",
            NOTE,
            "the kernel cannot relocate BTF (before 6.11): modules get plain split BTF, good for "
            "exactly this build of the kernel",
            "build modules anew with every update of the kernel, as DKMS does",
        )
    return Finding(
        "relocation",
        PROBLEM,
        "the kernel takes no module BTF: its struct module has no place for it",
        "use a kernel with CONFIG_DEBUG_INFO_BTF_MODULES=y",
    )


def _pahole(program: str, config: dict[str, str]) -> Iterator[Finding]:
    try:
        version = encoder.version_of(program)
        encoder.flags_for(version)
    except KbtfError as error:
        yield Finding("pahole", PROBLEM, error.what, error.hint or "name another with --pahole")
        return
    here = f"{version[0]}.{version[1]}"
    lacks = [what for since, what in encoder.LACKS if version < since]
    expected = _expected_pahole(config)
    what = f"{here} is installed"
    if expected and expected != version:
        what += f", the kernel's build expects {expected[0]}.{expected[1]}: make alone passes it "
        what += "the other one's options, kbtf its own"
    if lacks:
        what += f"; {', '.join(lacks)}"
        newer = max(since for since, _ in encoder.LACKS)
        yield Finding("pahole", NOTE, what, f"install pahole {newer[0]}.{newer[1]} or newer")
    else:
        yield Finding("pahole", OK, what)


def _expected_pahole(config: dict[str, str]) -> tuple[int, int] | None:
    number = config.get("PAHOLE_VERSION", "")
    return (int(number) // 100, int(number) % 100) if number.isdecimal() and int(number) else None


def _resolve_btfids(kdir: str) -> Finding:
    path = os.path.join(kdir, _RESOLVE_BTFIDS)
    if os.access(path, os.X_OK) and os.path.isfile(path):
        return Finding("resolve_btfids", OK, path)
    return Finding(
        "resolve_btfids",
        NOTE,
        f"{path} is missing: make alone fails where there is a vmlinux, 'kbtf build' needs none",
        "for make alone: RESOLVE_BTFIDS=$(command -v kbtf-resolve-btfids)",
    )


def _afterwards(kdir: str, config: dict[str, str]) -> Iterator[Finding]:
    """What happens to modules after the build."""
    if config.get("MODULE_SIG") == "y":
        force = config.get("MODULE_SIG_FORCE") == "y"
        what = "the kernel loads signed modules only" if force else "the kernel checks signatures"
        if config.get("MODULE_SIG_ALL") == "y":
            what += ", 'modules_install' signs where it has the key"
        remedy = "'--sign KEY CERT' signs what was built; sign after kbtf, which changes the file"
        if not os.path.exists(os.path.join(kdir, "scripts/sign-file")):
            remedy += "; this directory has no scripts/sign-file"
        yield Finding("signing", NOTE, what, remedy)
    kind = next((k for k in ("XZ", "ZSTD", "GZIP") if config.get(f"MODULE_COMPRESS_{k}")), None)
    if kind and config.get("MODULE_COMPRESS_ALL", "y") == "y":
        what = f"'modules_install' compresses with {kind.lower()}; BTF stays as it is"
        yield Finding("compression", OK, what)
