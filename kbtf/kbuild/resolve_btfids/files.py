# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The files that resolve_btfids of Linux 7.0 writes, and those that it puts into a module.

M.ko.BTF.1, the BTF that pahole made, is turned into M.ko.BTF, M.ko.BTF_ids and, with
``--distill_base``, M.ko.BTF.base: kfuncs are tagged and their implicit arguments hidden, the base
is distilled, the types are sorted by name, and ids are resolved against the result.  Source:
tools/bpf/resolve_btfids/main.c of 7.0.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.btf.deduplicate import deduplicate
from kbtf.elf.image import ElfImage
from kbtf.errors import BtfError, BtfIdsError, ElfError, RelocationError
from kbtf.files.replace import replace_and_warn
from kbtf.ids.btf2btf import LONGEST_NAME, Kfuncs, sort_types, transform_kfuncs
from kbtf.ids.btf_ids import SECTION
from kbtf.kbuild.console import Failure
from kbtf.kbuild.resolve_btfids.elf_file import (
    PROGRAM,
    collect,
    has_ids,
    leave_resolved,
    open_image,
    read_elf,
    resolve,
    was_resolved,
)
from kbtf.kbuild.resolve_btfids.input import load_split
from kbtf.kernel.index_cache import load_index
from kbtf.say import complain

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf
    from kbtf.ids.btf_ids import BtfIds
    from kbtf.kbuild.resolve_btfids.options import Options

_LEFT = "its BTF repeats types of the kernel"


def write_files(options: Options) -> int:
    """Write the files; none if there is an error, or a warning with --fatal_warnings."""
    data = read_elf(options.elf)
    image = open_image(data, options)
    ids = None
    if has_ids(image):
        ids = collect(image, options, longest=LONGEST_NAME)  # through 6.19, the NUL was not counted
    elif options.verbose:
        complain("Cannot find .BTF_ids or symbols sections, skip symbols resolution")
    if "fmodret_error_injection" in options.flags:
        complain(f"{PROGRAM}: {options.elf}: .BTF_fmodret_ids is not made")
    base_path = options.values.get("btf_base")
    btf = load_split(options.values.get("btf") or options.elf, base_path)
    is_resolved = ids is not None and was_resolved(ids)
    warned = 0
    if ids is not None and not is_resolved:
        btf, warned = _transformed(btf, ids, options)
    if btf.base is not None:
        load_index(btf.base)
        btf = _deduplicated(btf, options)
    base = None
    if btf.base is not None and base_path is not None and "distill_base" in options.flags:
        btf, base = _distilled(btf, base_path, bytes(data), options)
    else:
        btf = sort_types(btf)
    contents = image.data(SECTION) or b""
    if ids is not None and is_resolved:
        leave_resolved(ids, btf, options.elf)
    elif ids is not None:
        resolution = resolve(ids, btf, image, options)
        warned += len(resolution.warnings)
        contents = resolution.ids.to_bytes()
    if warned and "fatal_warnings" in options.flags:
        raise Failure(f"FAILED: {options.elf}: {warned} warnings, which --fatal_warnings forbids")
    outputs = {SECTION: contents} if has_ids(image) else {}
    outputs[".BTF"] = btf.to_bytes()
    if base is not None:
        outputs[".BTF.base"] = base.to_bytes()
    for suffix, output in outputs.items():
        replace_and_warn(options.elf + suffix, output, program=PROGRAM)
        if options.verbose:
            complain(f"Dumped {len(output)} bytes of data to {options.elf}{suffix}")
    return 0


def _deduplicated(btf: Btf, options: Options) -> Btf:
    """Drop types that the kernel also has; if that takes too long, keep them and report it."""
    try:
        return deduplicate(btf)
    except BtfError as error:
        complain(f"{PROGRAM}: {options.elf}: {error}; {_LEFT}")
        return btf


def _transformed(btf: Btf, ids: BtfIds, options: Options) -> tuple[Btf, int]:
    """The BTF with its kfuncs prepared for programs, and the number of warnings."""
    kfuncs = Kfuncs(btf, ids)
    try:
        made = transform_kfuncs(kfuncs)
    except BtfIdsError as error:
        raise Failure(*_failure(kfuncs, error)) from error
    finally:
        for found in kfuncs.found:
            if found.is_warning or options.verbose:
                complain(f"WARN: resolve_btfids: {found.text}" if found.is_warning else found.text)
    return made, sum(found.is_warning for found in kfuncs.found)


def _failure(kfuncs: Kfuncs, error: BtfIdsError) -> list[str]:
    """The original's message, which has its own name for a wrong kfunc but not for a wrong name."""
    if kfuncs.conflict is not None:
        failed = "ERROR: resolve_btfids: failed to collect kfuncs from BTF"
        return [f"ERROR: resolve_btfids: {error}", failed]
    return [f"ERROR: resolve_btfids: {error}" if error.where else f"ERROR: {error}"]


def _distilled(btf: Btf, base_path: str, data: bytes, options: Options) -> tuple[Btf, Btf | None]:
    """The split on its distilled base, sorted, after the phases of `kbtf run`.

    Kbuild requested it, so neither the kernel nor the module is checked; but BTF that could not be
    relocated even to its own kernel stays plain split BTF.
    """
    from kbtf.elf.module import Module
    from kbtf.errors import located
    from kbtf.kbuild.phases import Phases
    from kbtf.run.phases import AFTER_LINK, DISTILL, EMBED_SECTIONS

    phases = Phases(base_path, "btf2btf", "sort_types", distill="always")
    module = Module(data, options.elf, find_base=phases.find_base)
    for section in (".BTF", ".BTF.base"):
        module.remove_section(section)
    with located(options.elf):
        module.set_btf(btf)
        phases.run(module, AFTER_LINK)
        try:
            phases.run(module, DISTILL)
        except RelocationError as error:
            module.warn(
                f"keeps plain split BTF, because distilled BTF could not be relocated: {error}"
            )
        if module.btf is not None:
            module.set_btf(sort_types(module.btf), module.btf_base)
        phases.run(module, EMBED_SECTIONS)
    for warning in module.warnings:
        complain(f"{PROGRAM}: warning: {options.elf}: {warning}")
    return module.btf or btf, module.btf_base


def patch(options: Options) -> int:
    """Put a file of ids into ``.BTF_ids`` of the ELF file, as ``--patch_btfids`` asks."""
    blob_path = options.values["patch_btfids"]
    try:
        image = ElfImage(read_elf(options.elf))
    except Failure as failure:
        raise Failure(failure.lines[0].replace("FAILED cannot open", "FAILED to open")) from failure
    except ElfError as error:
        words = f"{PROGRAM}: {options.elf}: {error}"
        raise Failure("FAILED cannot get shdr str ndx", words) from error
    contents = image.data(SECTION)
    if contents is None:
        raise Failure(f"FAILED: section {SECTION} not found in {options.elf}")
    try:
        size = os.stat(blob_path).st_size
    except OSError as error:
        raise Failure(f"FAILED to stat {blob_path}: {error.strerror}") from error
    if size != len(contents):
        raise Failure(
            f"FAILED: size mismatch - {SECTION} section in {options.elf} is {len(contents)} "
            f"bytes, {blob_path} is {size} bytes"
        )
    try:
        with open(blob_path, "rb") as file:
            blob = file.read()
    except OSError as error:
        raise Failure(f"FAILED to open {blob_path}: {error.strerror}") from error
    if options.verbose:
        complain(
            f"Copying data from {blob_path} to {SECTION} section of {options.elf} "
            f"({len(contents)} bytes)"
        )
    image.set_section(SECTION, blob)
    replace_and_warn(options.elf, image.to_bytes(), program=PROGRAM)
    return 0
