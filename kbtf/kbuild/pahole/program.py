# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf-pahole``: a stand-in for Kbuild's ``$(PAHOLE)``, in both of its contracts.

It encodes modules itself: external ones in place (Kbuild through 6.19), those of the kernel tree,
and into separate files (scripts/gen-btf.sh of 7.0).  An external module that is encoded in place
also gets a distilled base, embedded as by `kbtf run`; the resolve_btfids that Kbuild runs next
finds ``.BTF.base`` there.  It encodes vmlinux if it can give the same result as pahole 1.32.
Everything else is left to the real pahole, such as ``--version`` (scripts/pahole-version.sh reads
it).  So is all encoding if ``$KBTF_ENCODER`` is ``pahole``, whatever its version, with the options
that it understands.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from kbtf.errors import KbtfError
from kbtf.files.helper import environment, run_helper, temporary_directory
from kbtf.kbuild.console import Failure, named_in_environment, report
from kbtf.kbuild.pahole import options as pahole_options
from kbtf.say import complain

if TYPE_CHECKING:
    from typing import NoReturn

    from kbtf.elf.module import Module
    from kbtf.kbuild.pahole.options import Request

PROGRAM = "kbtf-pahole"
_RUNNING = "KBTF_PAHOLE_RUNS"
_NOT_FOUND = 127  # as in a shell


def fail(args: list[str], error: KbtfError) -> int:
    """Report the error that stopped the run; return the exit code."""
    return report(PROGRAM, error)


def run(args: list[str]) -> int:
    """Run ``kbtf-pahole`` with the arguments *args*; the exit code."""
    request = pahole_options.read(args)
    is_external = _is_external(request)
    if is_external is not None and not _prefers_pahole():
        return _encode_here(request, is_external=is_external)
    reason = None
    if request.encode and request.file and not _prefers_pahole():
        reason = _encode_vmlinux(request)
        if reason is None:
            return 0
    pahole = _real_pahole()
    if not request.encode:
        _become([pahole, *args])
    if reason is not None:
        complain(f"{PROGRAM}: {request.file}: {reason}; encoded by {pahole}")
    version = _version(pahole)
    if version is None:
        _become([pahole, *args])
    missing = pahole_options.lacks(request, version)
    if is_external:
        if request.detached is None:
            # These are made here, whatever pahole supports.
            ours = ("distilled_base", "decl_tag_kfuncs" if _is_tagging() else "")
            _say_missing([name for name in missing if name not in ours], version)
            return _encode(pahole, request, version)
        _say_missing(missing, version)
        return _encode_detached(pahole, request, version)
    _say_missing(missing, version)
    _become([pahole, *_command(request, version)])


def _prefers_pahole() -> bool:
    return named_in_environment("KBTF_ENCODER", ("kbtf", "pahole")) == "pahole"


def _encode_here(request: Request, *, is_external: bool) -> int:
    from kbtf.files.replace import replace_and_warn
    from kbtf.kbuild.pahole import own

    path, base = request.file or "", request.base or ""
    features = own.features_of(request, is_external=is_external)
    btf = own.encode(PROGRAM, path, base, features)
    if btf is None:
        return 0
    if request.detached is not None:
        replace_and_warn(request.detached, btf.to_bytes(), program=PROGRAM)
    elif is_external:
        _embed(path, btf.to_bytes(), base)
    else:
        own.add_section(path, btf)
    return 0


def _encode_vmlinux(request: Request) -> str | None:
    """Encode a vmlinux; or why it is left to pahole, like other files without a base."""
    if request.base or not os.path.isfile(request.file or ""):
        return "not a module with a base"
    from kbtf.kbuild.pahole import kernel

    return kernel.encode(request)


def _real_pahole() -> str:
    """The program to run: ``$KBTF_PAHOLE``, else the first pahole on PATH that is not this one."""
    if os.environ.get(_RUNNING):
        raise Failure(
            f"{PROGRAM}: error: it was called by itself; "
            "name the real pahole with the variable KBTF_PAHOLE",
            code=_NOT_FOUND,
        )
    named = os.environ.get("KBTF_PAHOLE", "")
    if "/" in named:
        candidates = [named]
    else:
        folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
        candidates = [os.path.join(folder or ".", named or "pahole") for folder in folders]
    own = os.path.realpath(sys.argv[0])
    for path in candidates:
        if os.path.isfile(path) and os.access(path, os.X_OK) and os.path.realpath(path) != own:
            return path
    raise Failure(
        f"{PROGRAM}: error: {named or 'pahole'} is not installed; "
        "install the package pahole (dwarves), or name it with the variable KBTF_PAHOLE",
        code=_NOT_FOUND,
    )


def _become(command: list[str]) -> NoReturn:
    """Replace this process by the real pahole."""
    variables = environment() | {_RUNNING: "1"}
    os.execve(command[0], command, variables)  # noqa: S606 - no shell is the point


def _version(pahole: str) -> tuple[int, int] | None:
    done = run_helper([pahole, "--version"], variables={_RUNNING: "1"})
    found = re.search(rb"v?(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else None


def _say_missing(missing: list[str], version: tuple[int, int]) -> None:
    if missing:
        number = f"{version[0]}.{version[1]}"
        complain(
            f"{PROGRAM}: omitted options that pahole {number} does not have: {', '.join(missing)}"
        )


def _is_tagging() -> bool:
    """Whether the environment requests the effect of `kbtf run --kfunc-tags`."""
    return os.environ.get("KBTF_KFUNC_TAGS", "0") not in ("", "0")


def _is_external(request: Request) -> bool | None:
    """Whether a module from outside the kernel tree is encoded; None if no module is.

    modpost marks those of the tree.  Without a base, or if the file cannot be read, pahole reports
    what is wrong.
    """
    if not request.encode or not request.base or not request.file:
        return None
    from kbtf.elf.files import map_module
    from kbtf.elf.format import ET_REL
    from kbtf.elf.image import ElfImage

    try:
        image = ElfImage(map_module(request.file))
    except KbtfError:
        return None
    if image.type != ET_REL:
        return None
    modinfo = image.data(".modinfo")
    return modinfo is not None and b"intree=Y" not in modinfo.split(b"\0")


def _command(request: Request, version: tuple[int, int]) -> list[str]:
    words = ["-J", *pahole_options.flags(request, version)]
    if request.base:
        words += ["--btf_base", request.base]
    if request.detached:
        words.append(f"--btf_encode_detached={request.detached}")
    return [*words, request.file] if request.file else words


def _encode(pahole: str, request: Request, version: tuple[int, int]) -> int:
    """Encode a module and process it like `kbtf run`; nothing is written if anything fails."""
    file = request.file or ""
    with temporary_directory() as folder:
        encoded = os.path.join(folder, "btf")
        wanted = pahole_options.for_module(request, version)._replace(detached=encoded)
        code = _run_pahole(pahole, wanted, version, folder)
        if code:
            return code
        if not os.path.exists(encoded) or not os.path.getsize(encoded):
            # Newer versions exit with this if there is no DWARF.
            complain(f"{PROGRAM}: {file}: pahole wrote no BTF")
            return 0
        with open(encoded, "rb") as btf:
            _embed(file, btf.read(), request.base or "")
    return 0


def _encode_detached(pahole: str, request: Request, version: tuple[int, int]) -> int:
    with temporary_directory() as folder:
        return _run_pahole(pahole, request, version, folder)


def _run_pahole(pahole: str, request: Request, version: tuple[int, int], folder: str) -> int:
    """Encode on the base for the module's compiler; pahole's exit code."""
    from kbtf.elf.module import Module
    from kbtf.encode.compilers import base_path
    from kbtf.kernel.base import open_base

    base = request.base or ""
    module = Module.open(request.file or "", find_base=lambda _: open_base(base))
    if module.compiler is not None and os.path.exists(base):
        request = request._replace(base=base_path(module, folder))
        _say_warnings(module)
    command = [pahole, *_command(request, version)]
    code = run_helper(command, captured=False, variables={_RUNNING: "1"}).returncode
    return code if code >= 0 else 128 - code


def _embed(path: str, encoded: bytes, base: str) -> None:
    """Phases 1, 2 and 4; the program that Kbuild calls next resolves ids."""
    from kbtf.btf.btf import Btf
    from kbtf.elf.module import Module
    from kbtf.errors import located
    from kbtf.files.replace import replace_and_warn
    from kbtf.ids.btf_ids import read_ids
    from kbtf.kbuild.phases import Phases
    from kbtf.kbuild.resolve_btfids.elf_file import was_resolved
    from kbtf.run.phases import AFTER_LINK, DISTILL, EMBED_SECTIONS
    from kbtf.run.pipeline import check_output

    phases = Phases(base, **{"kfunc-tags": _is_tagging()})
    for line in phases.left_out():
        complain(f"{PROGRAM}: {line}")
    module = Module.open(path, find_base=phases.find_base)
    with located(path):
        ids = read_ids(module.image)
        if ids is not None and was_resolved(ids):
            raise KbtfError(
                "is already resolved, and resolving it again would mix up its flags",
                where=".BTF_ids",
                hint="remove the module and run make again",
            )
        # BTF of an earlier run may have another base.
        module.remove_section(".BTF.base")
        module.set_btf(Btf.parse(encoded, module.base))
        phases.run(module, AFTER_LINK, DISTILL, EMBED_SECTIONS)
        if module.skipped:
            complain(f"{PROGRAM}: {path}: left alone: {module.skipped}")
            return
        data = module.to_bytes()
        check_output(data, path)
        replace_and_warn(path, data, program=PROGRAM)
    _say_warnings(module)


def _say_warnings(module: Module) -> None:
    for warning in module.warnings:
        complain(f"{PROGRAM}: warning: {module.path}: {warning}")
