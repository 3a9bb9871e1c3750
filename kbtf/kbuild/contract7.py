"""The contract of Linux 7.0: files beside the module, which scripts/gen-btf.sh embeds.

From M.ko.BTF.1, the BTF that pahole made, come M.ko.BTF, M.ko.BTF_ids and, with
``--distill_base``, M.ko.BTF.base: kfuncs are tagged and their implicit arguments hidden, the base
is distilled, the types are sorted by name, and ids are resolved against the outcome.  Source:
tools/bpf/resolve_btfids/main.c and scripts/gen-btf.sh of 7.0.
"""

from __future__ import annotations

import os

from kbtf.btf.raw import RawBtf
from kbtf.btf_ids import SECTION
from kbtf.elf.image import ElfImage
from kbtf.elf.write import replace_file
from kbtf.errors import ElfError, RelocationError
from kbtf.kbuild.console import Failure, say
from kbtf.kbuild.id_file import (
    PROGRAM,
    collect,
    has_ids,
    leave_resolved,
    open_image,
    read_elf,
    resolve,
    was_resolved,
)
from kbtf.kbuild.kfuncs import transform
from kbtf.kbuild.load import load_split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kbtf.btf.btf import Btf
    from kbtf.kbuild.resolve_options import Options


def run(options: Options) -> int:
    """Write the files; none of them if anything fails, or is warned of with --fatal_warnings."""
    data = read_elf(options.elf)
    image = open_image(data, options)
    ids = None
    if has_ids(image):
        ids = collect(image, options)
    elif options.verbose:
        say("Cannot find .BTF_ids or symbols sections, skip symbols resolution")
    if "fmodret_error_injection" in options.flags:
        say(f"{PROGRAM}: {options.elf}: .BTF_fmodret_ids is not made")
    base_path = options.values.get("btf_base")
    btf = load_split(options.values.get("btf") or options.elf, base_path)
    is_resolved = ids is not None and was_resolved(ids)
    warned = 0
    if ids is not None and not is_resolved:
        step = transform(btf, ids)
        btf = step.btf
        for warning in step.warnings:
            say(warning)
        warned += len(step.warnings)
    base = None
    if btf.base is not None and base_path is not None and "distill_base" in options.flags:
        btf, base = _distilled(btf, base_path, bytes(data), options)
    else:
        btf = _sorted(btf)
    contents = image.data(SECTION) or b""
    if ids is not None and is_resolved:
        leave_resolved(ids, btf, options.elf)
    elif ids is not None:
        resolution = resolve(ids, btf, image, options)
        warned += len(resolution.warnings)
        contents = resolution.ids.to_bytes()
    if warned and "fatal_warnings" in options.flags:
        raise Failure(f"FAILED: {options.elf}: {warned} warnings, which --fatal_warnings forbids")
    outputs = {".BTF": btf.to_bytes()}
    if has_ids(image):
        outputs[SECTION] = contents
    if base is not None:
        outputs[".BTF.base"] = base.to_bytes()
    for suffix, output in outputs.items():
        replace_file(options.elf + suffix, output)
        if options.verbose:
            say(f"Dumped {len(output)} bytes of data to {options.elf}{suffix}")
    return 0


def _sorted(btf: Btf) -> Btf:
    raw = RawBtf(btf)
    raw.sort_by_name()
    return raw.build()


def _distilled(btf: Btf, base_path: str, data: bytes, options: Options) -> tuple[Btf, Btf | None]:
    """The split on its distilled base, sorted, after the phases of `kbtf run`.

    Kbuild asks for it, so neither the kernel nor the module is questioned; but what could not be
    relocated even to its own kernel keeps plain split BTF.
    """
    from kbtf.elf.module import Module, located
    from kbtf.kbuild.phases import Phases

    phases = Phases(base_path, distill="always")
    module = Module(data, options.elf, find_base=phases.find_base)
    for section in (".BTF", ".BTF.base"):
        module.remove_section(section)
    with located(options.elf):
        module.set_btf(btf)
        phases.run(module, "kbtf_after_link")
        try:
            phases.run(module, "kbtf_distill")
        except RelocationError as error:
            module.warn(f"keeps plain split BTF, for it cannot be relocated: {error}")
        if module.btf is not None:
            module.set_btf(_sorted(module.btf), module.btf_base)
        phases.run(module, "kbtf_embed_sections")
    for warning in module.warnings:
        say(f"{PROGRAM}: warning: {options.elf}: {warning}")
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
        say(
            f"Copying data from {blob_path} to {SECTION} section of {options.elf} "
            f"({len(contents)} bytes)"
        )
    image.set_section(SECTION, blob)
    replace_file(options.elf, image.to_bytes())
    return 0
