# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A kernel module in memory: its modinfo, its BTF, and the sections that will be added."""

from __future__ import annotations

import mmap
import os
import struct
from typing import TYPE_CHECKING

from kbtf.btf.btf import Btf
from kbtf.btf.split import is_raw_btf, is_split_btf
from kbtf.elf.files import map_module, read_module_or_btf
from kbtf.elf.format import ELF_MAGIC, EM_BPF, ET_REL
from kbtf.elf.image import ElfImage
from kbtf.elf.modinfo import read_modinfo
from kbtf.elf.signature import split_signature
from kbtf.errors import (
    BaseError,
    BaseNotFoundError,
    ElfError,
    MisfitError,
    SignedError,
    located,
)
from kbtf.files.formats import recognise
from kbtf.files.pieces import Pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbtf.btf.base import Base
    from kbtf.files.budget import Budget

# an ELF header of a relocatable file without sections
_NO_SECTIONS = b"".join(
    [ELF_MAGIC, b"\2\1\1", bytes(9), struct.pack("<HHIQQQIHHHHHH", ET_REL, 0, 1, *[0] * 10)]
)


class Module:
    """A linked ``.ko``, whose BTF passes read and replace.

    *data* is the whole file, compressed or not.  ``btf``, ``btf_base`` and ``btf_ids`` are those of
    the file until they are set; *find_base* searches for the base when it is first needed.
    *budget* is what the file may unpack to, if it is one of several that share it.
    """

    def __init__(
        self,
        data: bytes | mmap.mmap,
        path: str = "<memory>",
        *,
        find_base: Callable[[Module], Base] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.path = path
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.skipped: str | None = None
        """Why this module is skipped; None if it is not."""
        self.is_raw_btf = False
        """Whether it is raw BTF: see `open_to_read`."""
        self.threads = 1
        """How many threads may work on it at once; 0 for one on each CPU."""
        self._find_base = find_base
        self._found: Base | None = None
        with located(path):
            self.compression = recognise(data)
            packed_size = len(data) if self.compression else None
            if self.compression:
                from kbtf.files.compression import unpack_module

                data = unpack_module(data, self.compression, budget)
            elf, self.signature = split_signature(data)
            self.image = ElfImage(elf, packed_size=packed_size)
            if self.image.machine == EM_BPF:
                raise ElfError(
                    "is a BPF object, not a kernel module", hint="use 'kbtf ksyms' on it"
                )
            if self.image.type != ET_REL:
                raise ElfError("is not a kernel module (ELF type is not REL)")
            self.modinfo = read_modinfo(self.image)
        self._btf: Btf | None = None
        self._btf_base: Btf | None = None

    @classmethod
    def open(cls, path: str, *, find_base: Callable[[Module], Base] | None = None) -> Module:
        """The module in the file *path*; KbtfError if it cannot be read or is not a module."""
        return cls(map_module(path), path, find_base=find_base)

    @classmethod
    def open_to_read(
        cls, path: str, *, find_base: Callable[[Module], Base] | None = None
    ) -> Module:
        """Like `open`, but also for raw split BTF, as in /sys/kernel/btf.

        Such a module has only BTF: no sets, no symbols, no release.
        """
        data = read_module_or_btf(path)
        if not is_raw_btf(data):
            return cls(data, path, find_base=find_base)
        if not is_split_btf(data):
            raise ElfError("is raw BTF of a kernel, not of a module", file=path)
        module = cls(_NO_SECTIONS, path, find_base=find_base)
        module.image.set_section(".BTF", data)
        module.is_raw_btf = True
        return module

    @property
    def name(self) -> str:
        """The module's name, as modinfo shows it."""
        stem = os.path.basename(self.path).partition(".ko")[0]
        return self.modinfo.get("name", stem.replace("-", "_"))

    @property
    def has_kernel_btf(self) -> bool:
        """Whether it is the module with the kernel's own BTF (CONFIG_DEBUG_INFO_BTF=m)."""
        return self.name == "btf_vmlinux"

    @property
    def vermagic(self) -> str | None:
        """The kernel it was built for, with the options that affect loading."""
        return self.modinfo.get("vermagic")

    @property
    def release(self) -> str | None:
        """The kernel release of its vermagic."""
        vermagic = self.vermagic
        return vermagic.split(" ", 1)[0] if vermagic else None

    @property
    def intree(self) -> bool:
        """Whether it was built as part of a kernel tree."""
        return self.modinfo.get("intree") == "Y"

    def require_unsigned(self, *, strip: bool) -> None:
        """SignedError if it is signed and the signature must not be stripped."""
        if self.signature is None:
            return
        if not strip:
            raise SignedError(
                "is signed, and any change makes the signature invalid",
                file=self.path,
                hint="renew it with 'kbtf run --sign KEY CERT', or use --strip-signature",
            )
        self.signature = None
        self.note("signature stripped")

    @property
    def found_base(self) -> Base:
        """The base BTF and its origin; BaseError if none fits."""
        if self._found is None:
            if self._find_base is None:
                raise BaseNotFoundError("no base BTF is known", file=self.path)
            self._found = self._find_base(self)
        return self._found

    @property
    def base(self) -> Btf:
        """The BTF of the vmlinux that this module was built for."""
        return self.found_base.btf

    @property
    def base_is_known(self) -> bool:
        """Whether the base was needed and found."""
        return self._found is not None

    @property
    def compiler(self) -> str | None:
        """The compiler it was built with, ``gcc`` or ``clang``; None if not known."""
        comment = self.image.data(".comment") or b""
        if b"clang version" in comment:
            return "clang"
        return "gcc" if b"GCC: " in comment else None

    @property
    def has_btf(self) -> bool:
        """Whether it has ``.BTF``, from the file or a pass."""
        return self._btf is not None or bool(self.image.data(".BTF"))

    @property
    def has_btf_base(self) -> bool:
        """Whether it has ``.BTF.base``, from the file or a pass."""
        return self._btf_base is not None or bool(self.image.data(".BTF.base"))

    @property
    def btf_base(self) -> Btf | None:
        """The distilled base; None if the module has none."""
        data = self.image.data(".BTF.base") if self._btf_base is None else None
        if data:
            with located(self.path, ".BTF.base"):
                self._btf_base = Btf.parse(data)
        return self._btf_base

    @property
    def btf(self) -> Btf | None:
        """The split BTF on the distilled base, or on that of vmlinux; None if there is none."""
        data = self.image.data(".BTF") if self._btf is None else None
        if data:
            if self.btf_base is None:
                self._btf = self._parse_plain(data)
            else:
                with located(self.path, ".BTF"):
                    self._btf = Btf.parse(data, self.btf_base)
        return self._btf

    def known_btf(self) -> tuple[Btf | None, Btf | None]:
        """The split BTF and its base that were read or set so far; no base is searched for."""
        return self._btf, self._btf_base

    def set_btf(self, btf: Btf, btf_base: Btf | None = None) -> None:
        """Replace the split BTF and its distilled base."""
        self._btf, self._btf_base = btf, btf_base

    def _parse_plain(self, split: bytes) -> Btf:
        """Split BTF on vmlinux, refused if it was made for a vmlinux other than the one found."""
        base = self.base
        with located(self.path, ".BTF"):
            try:
                btf = Btf.parse(split, base)
                btf.check_fit()
            except MisfitError as error:
                raise BaseError(
                    f"does not fit the base {self.found_base.source} ({error})",
                    hint="name the vmlinux that the module was built for with --base",
                ) from error
            return btf

    @property
    def btf_ids(self) -> bytes | None:
        """The contents of ``.BTF_ids``."""
        return self.image.data(".BTF_ids")

    @btf_ids.setter
    def btf_ids(self, data: bytes) -> None:
        self.image.set_section(".BTF_ids", data)

    def set_section(self, name: str, data: bytes) -> None:
        """Give a section these contents in the file that is written; add it if it is missing."""
        with located(self.path):
            self.image.set_section(name, data)

    def remove_section(self, name: str) -> None:
        """Remove a section from the file that is written."""
        self.image.remove_section(name)

    def to_bytes(self) -> bytes:
        """The file with its changes, before signing and compression."""
        return self.to_pieces().to_bytes()

    def to_pieces(self) -> Pieces:
        """The same in pieces; unchanged parts are not copied."""
        with located(self.path):
            image = self.image.to_pieces()
        return Pieces([*image, self.signature]) if self.signature else image

    def skip(self, reason: str) -> None:
        """Skip this module: no further phase runs, and only a signature may change."""
        self.skipped = reason

    def note(self, text: str) -> None:
        """Add a note, shown with -v."""
        self.notes.append(text)

    def warn(self, text: str) -> None:
        """Add a warning, which is always shown."""
        self.warnings.append(text)
