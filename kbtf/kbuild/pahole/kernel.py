# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Encode vmlinux as scripts/link-vmlinux.sh and scripts/gen-btf.sh request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.btf.layout import add_layout
from kbtf.elf.files import map_linked
from kbtf.encode.dwarf import encode_kernel, has_dwarf
from kbtf.encode.features import DEFAULT
from kbtf.errors import DwarfError, MachineError, located, os_error
from kbtf.files.helper import run_helper, temporary_directory
from kbtf.files.replace import replace_and_warn, replace_file
from kbtf.kbuild.pahole.own import features_of

if TYPE_CHECKING:
    from kbtf.elf.image import ElfImage
    from kbtf.kbuild.pahole.options import Request

_COMPARED = frozenset({*DEFAULT, "attributes", "layout", "reproducible_build"})
"""The features for which kbtf's encoder gives the same BTF of a vmlinux as pahole 1.32."""

# Kernels that may have units in Rust pass this, and no other option besides the features.
_OTHERS = ((), (("--lang_exclude=rust",),))


def encode(request: Request) -> str | None:
    """Encode the vmlinux of a request and write it where pahole would; or why that is not done."""
    path = request.file or ""
    image = map_linked(path)
    if image is None or not has_dwarf(image):
        return "not a module with a base, nor a vmlinux with DWARF"
    unknown = sorted(request.features - _COMPARED)
    if unknown:
        return f"asks for {unknown[0]}"
    if request.others not in _OTHERS:
        return "asks for more than kbtf knows of a vmlinux"
    try:
        _encode(image, path, request)
    except DwarfError as error:
        return error.what
    return None


def _encode(image: ElfImage, path: str, request: Request) -> None:
    with located(path):
        features = features_of(request, is_external=False)
        encoded = encode_kernel(image, features=features, strict=True, jobs=_jobs(request))
    blob = encoded.btf.to_bytes()
    if "layout" in features:
        blob = add_layout(blob, encoded.btf.byte_order)
    if request.detached is not None:
        replace_and_warn(request.detached, blob, program="kbtf-pahole")
    else:
        _add_section(path, blob)


def _jobs(request: Request) -> int:
    """The number of threads that pahole should use; 0 for one per CPU."""
    if request.jobs is None:
        return 1
    number = request.jobs.removeprefix("--jobs=").removeprefix("-j")
    return int(number) if number.isdecimal() else 0


def _add_section(path: str, blob: bytes) -> None:
    """With objcopy, like pahole: a vmlinux is too large to copy in memory."""
    objcopy = os.environ.get("LLVM_OBJCOPY") or "objcopy"
    with temporary_directory() as folder:
        btf = os.path.join(folder, "btf")
        replace_file(btf, blob)
        command = [objcopy, "--remove-section=.BTF", f"--add-section=.BTF={btf}", path]
        try:
            code = run_helper(command, captured=False).returncode
        except OSError as error:
            raise os_error(error, objcopy) from error
    if code:
        raise MachineError(f"{objcopy} failed (exit code {code})", file=path)
