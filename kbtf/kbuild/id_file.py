"""The ELF file whose ids are resolved, and what is said of it in the words of resolve_btfids."""

from __future__ import annotations

import mmap
import os

from kbtf.btf_ids import SECTION, ids_mismatch, read_ids, resolve_ids
from kbtf.elf.image import SHT_SYMTAB, ElfImage
from kbtf.errors import BtfIdsError, ElfError
from kbtf.kbuild.console import Failure, say, worded
from kbtf.kbuild.load import load_split

TYPE_CHECKING = False  # importing typing would cost a build more than the work
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.btf.btf import Btf
    from kbtf.btf_ids import BtfIds, Resolution
    from kbtf.kbuild.resolve_options import Options

PROGRAM = "kbtf-resolve-btfids"


def read_elf(path: str) -> mmap.mmap | bytes:
    """The contents of a file that may be written, as the original demands.

    They are mapped: a vmlinux with DWARF has hundreds of megabytes.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Failure(f"FAILED cannot open {path}: {error.strerror}") from error
    with open(fd, "rb"):
        if not os.fstat(fd).st_size:
            return b""
        return mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)


def open_image(data: mmap.mmap | bytes, options: Options) -> ElfImage:
    """The ELF file; Failure if it is none."""
    try:
        image = ElfImage(data)
    except ElfError as error:
        words = f"{PROGRAM}: {options.elf}: {error}"
        raise Failure("FAILED cannot get shdr str ndx", words) from error
    if options.verbose > 1:
        for s in image.sections[1:]:
            say(
                f"section({s.number}) {s.name}, size {s.size}, link {s.link}, "
                f"flags {s.flags:x}, type={s.type}"
            )
    return image


def has_ids(image: ElfImage) -> bool:
    """Whether there is something to resolve; it need not be much."""
    has_symbols = any(s.type == SHT_SYMTAB for s in image.sections)
    return has_symbols and image.section(SECTION) is not None


def collect(image: ElfImage, options: Options) -> BtfIds | None:
    """The ids that the symbols speak of; Failure in the original's words."""
    if options.verbose:
        from kbtf.kbuild.wording import symbols_added

        for line in symbols_added(image):
            say(line)
    try:
        return read_ids(image)
    except (BtfIdsError, ElfError) as error:
        from kbtf.kbuild.wording import collect_failure, patch_failure

        cause = f"{PROGRAM}: {options.elf}: {error}"
        words = collect_failure(image)
        if words is not None:
            raise Failure(*words, cause) from error
        # The original finds this out last, when it has warned of everything else.
        named = None if image.section(".BTF.base") else options.values.get("btf_base")
        btf = load_split(options.values.get("btf") or options.elf, named)
        raise Failure(*patch_failure(image, btf), cause) from error


def resolve(ids: BtfIds, btf: Btf, image: ElfImage, options: Options) -> Resolution:
    """Fill in the ids, and say what the original says of it."""
    resolution = resolve_ids(ids, btf)
    lines: Iterable[str] = map(worded, resolution.warnings)
    if options.verbose:
        from kbtf.kbuild.wording import patching

        lines = patching(image, btf, resolution)
    for line in lines:
        say(line)
    return resolution


def was_resolved(ids: BtfIds) -> bool:
    """Whether an earlier run filled in ids; sets without members do not tell, and need nothing."""
    return bool(ids.id_words) and ids.is_resolved


def leave_resolved(ids: BtfIds, btf: Btf, path: str) -> int:
    """Nothing is changed; Failure if the ids are not those of *btf*."""
    why = ids_mismatch(ids, btf)
    if why:
        raise Failure(
            f"FAILED: {path}: .BTF_ids: is resolved already, but not against this BTF: {why}; "
            "link the file anew"
        )
    say(f"{PROGRAM}: {path}: .BTF_ids is resolved already, nothing is changed")
    return 0
