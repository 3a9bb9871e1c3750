"""``kbtf-pahole``: what Kbuild takes for ``$(PAHOLE)``, in both of its contracts.

It runs the real pahole, whatever its version, with the options that this one understands.  Where
Kbuild through 6.19 has an external module encoded in place, it then distils the base and embeds
the result as `kbtf run` does; the resolve_btfids that Kbuild runs next finds ``.BTF.base``
there.  Everything else is pahole's own doing: ``--version`` (scripts/pahole-version.sh reads
it), vmlinux, modules of the kernel tree, and detached BTF (scripts/gen-btf.sh of 7.0).
"""

from __future__ import annotations

import os
import re
import sys

from kbtf.elf.image import ET_REL, ElfImage
from kbtf.errors import ElfError, KbtfError
from kbtf.kbuild import pahole_options
from kbtf.kbuild.console import Failure, guarded, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from kbtf.elf.module import Module
    from kbtf.kbuild.pahole_options import Request

PROGRAM = "kbtf-pahole"
_RUNNING = "KBTF_PAHOLE_RUNS"
_NOT_FOUND = 127  # as a shell says it


def main(argv: list[str] | None = None) -> int:
    """Run ``kbtf-pahole`` with the arguments *argv*, those of the process by default."""
    return guarded(PROGRAM, _run, argv)


def _run(args: list[str]) -> int:
    pahole = _real_pahole()
    request = pahole_options.read(args)
    if not request.encode:
        _become([pahole, *args])
    version = _version(pahole)
    if version is None:
        _become([pahole, *args])
    missing = pahole_options.lacks(request, version)
    if request.base and request.file and _is_external(request.file):
        if request.detached is None:
            # These are made here, whatever pahole can do.
            ours = ("distilled_base", "decl_tag_kfuncs" if _is_tagging() else "")
            _say_missing([name for name in missing if name not in ours], version)
            return _encode(pahole, request, version)
        _say_missing(missing, version)
        return _encode_detached(pahole, request, version)
    _say_missing(missing, version)
    _become([pahole, *_command(request, version)])


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
    """Go on as the real pahole."""
    os.execve(command[0], command, _environment())  # noqa: S606 - no shell is the point


def _environment() -> dict[str, str]:
    return {**os.environ, _RUNNING: "1"}


def _version(pahole: str) -> tuple[int, int] | None:
    import subprocess

    command = [pahole, "--version"]
    done = subprocess.run(command, capture_output=True, env=_environment(), check=False)
    found = re.search(rb"v?(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else None


def _say_missing(missing: list[str], version: tuple[int, int]) -> None:
    if missing:
        number = f"{version[0]}.{version[1]}"
        say(f"{PROGRAM}: left out what pahole {number} cannot do: {', '.join(missing)}")


def _is_tagging() -> bool:
    """Whether the environment asks for what ``--kfunc-tags`` of `kbtf run` does."""
    return os.environ.get("KBTF_KFUNC_TAGS", "0") not in ("", "0")


def _is_external(path: str) -> bool:
    """Whether *path* is a module from outside the kernel tree; modpost marks the others."""
    try:
        with open(path, "rb") as file:
            image = ElfImage(file.read())
    except (OSError, ElfError):
        return False  # pahole says what is wrong with it
    modinfo = image.data(".modinfo")
    if image.type != ET_REL or modinfo is None:
        return False
    return b"intree=Y" not in modinfo.split(b"\0")


def _command(request: Request, version: tuple[int, int]) -> list[str]:
    words = ["-J", *pahole_options.flags(request, version)]
    if request.base:
        words += ["--btf_base", request.base]
    if request.detached:
        words.append(f"--btf_encode_detached={request.detached}")
    return [*words, request.file] if request.file else words


def _encode(pahole: str, request: Request, version: tuple[int, int]) -> int:
    """Encode a module and give it what `kbtf run` would; nothing is written if anything fails."""
    import tempfile

    file = request.file or ""
    with tempfile.TemporaryDirectory(prefix="kbtf-") as folder:
        encoded = os.path.join(folder, "btf")
        wanted = pahole_options.for_module(request, version)._replace(detached=encoded)
        code = _run_pahole(pahole, wanted, version, folder)
        if code:
            return code
        if not os.path.exists(encoded) or not os.path.getsize(encoded):
            # Newer ones end so where there is no DWARF.
            say(f"{PROGRAM}: {file}: pahole wrote no BTF")
            return 0
        with open(encoded, "rb") as btf:
            _embed(file, btf.read(), request.base or "")
    return 0


def _encode_detached(pahole: str, request: Request, version: tuple[int, int]) -> int:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="kbtf-") as folder:
        return _run_pahole(pahole, request, version, folder)


def _run_pahole(pahole: str, request: Request, version: tuple[int, int], folder: str) -> int:
    """Encode on the base that suits the module's compiler; pahole's exit code."""
    import subprocess

    from kbtf.elf.module import Module
    from kbtf.elf.vmlinux import open_base

    base = request.base or ""
    module = Module.open(request.file or "", find_base=lambda _: open_base(base))
    if module.compiler is not None and os.path.exists(base):
        request = request._replace(base=module.base_path(folder))
        _say_warnings(module)
    command = [pahole, *_command(request, version)]
    code = subprocess.run(command, env=_environment(), check=False).returncode
    return code if code >= 0 else 128 - code


def _embed(path: str, encoded: bytes, base: str) -> None:
    """Phases 1, 2 and 4; ids are resolved by what Kbuild calls next."""
    from kbtf.btf.btf import Btf
    from kbtf.btf_ids import read_ids
    from kbtf.elf.module import Module, located
    from kbtf.elf.write import replace_file
    from kbtf.host.pipeline import check_output
    from kbtf.kbuild.id_file import was_resolved
    from kbtf.kbuild.phases import Phases

    phases = Phases(base, **{"kfunc-tags": _is_tagging()})
    for line in phases.left_out("kbtf_resolve_btfids", "kbtf_finish"):
        say(f"{PROGRAM}: {line}")
    module = Module.open(path, find_base=phases.find_base)
    with located(path):
        ids = read_ids(module.image)
        if ids is not None and was_resolved(ids):
            raise KbtfError(
                "is resolved already, and what resolves it again would mix up its flags",
                where=".BTF_ids",
                hint="remove the module and run make again",
            )
        # BTF of an earlier run may stand on another base.
        module.remove_section(".BTF.base")
        module.set_btf(Btf.parse(encoded, module.base))
        phases.run(module, "kbtf_after_link", "kbtf_distill", "kbtf_embed_sections")
        if module.skipped:
            say(f"{PROGRAM}: {path}: left alone: {module.skipped}")
            return
        data = module.to_bytes()
        check_output(data, path)
        replace_file(path, data)
    _say_warnings(module)


def _say_warnings(module: Module) -> None:
    for warning in module.warnings:
        say(f"{PROGRAM}: warning: {module.path}: {warning}")
