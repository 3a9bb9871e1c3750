"""A kernel module in memory: what it says of itself, its BTF, and the sections it is to get."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kbtf.btf import _native
from kbtf.btf.btf import Btf
from kbtf.elf import unpack
from kbtf.elf.image import ET_REL, ElfImage
from kbtf.elf.pieces import Pieces
from kbtf.errors import (
    BaseError,
    BaseNotFoundError,
    ElfError,
    KbtfError,
    MisfitError,
    SignedError,
    os_error,
)
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kbtf.elf.vmlinux import Base

# struct module_signature and its magic: include/linux/module_signature.h
_SIGNATURE_MAGIC = b"~Module signature appended~\n"
_SIGNATURE_INFO_LEN = 12


class Signature(NamedTuple):
    """A signature appended to a module, or several, of which the kernel checks the last."""

    data: bytes
    """Everything from the end of the ELF file on."""


class Module:
    """A linked ``.ko``, whose BTF passes read and replace.

    *data* is the whole file, compressed or not.  ``btf``, ``btf_base`` and ``btf_ids`` start as
    what the file has; the base is looked for by *find_base* when something first needs it.
    """

    def __init__(
        self,
        data: bytes,
        path: str = "<memory>",
        *,
        find_base: Callable[[Module], Base] | None = None,
    ) -> None:
        self.path = path
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.skipped: str | None = None
        """Why this module is left alone, if it is."""
        self._find_base = find_base
        self._found: Base | None = None
        with located(path):
            self.compression = unpack.recognise(data)
            if self.compression:
                if self.compression not in unpack.MODULE_KINDS:
                    name = unpack.FORMATS[self.compression].name
                    raise ElfError(f"no kernel takes modules compressed as {name}")
                data = unpack.unpack(data, whole=True)
            elf, self.signature = _split_signature(data)
            self.image = ElfImage(elf)
            if self.image.type != ET_REL:
                raise ElfError("is not a kernel module (ELF type is not REL)")
            self.modinfo = _read_modinfo(self.image)
        self._btf: Btf | None = None
        self._btf_base: Btf | None = None

    @classmethod
    def open(cls, path: str, *, find_base: Callable[[Module], Base] | None = None) -> Module:
        """The module in the file *path*; KbtfError if it cannot be read or is none."""
        return cls(read_file(path), path, find_base=find_base)

    @property
    def name(self) -> str:
        """The module's name, as modinfo shows it."""
        stem = os.path.basename(self.path).partition(".ko")[0]
        return self.modinfo.get("name", stem.replace("-", "_"))

    @property
    def vermagic(self) -> str | None:
        """Which kernel it was built for, with the options that matter to loading."""
        return self.modinfo.get("vermagic")

    @property
    def release(self) -> str | None:
        """The kernel release of its vermagic."""
        vermagic = self.vermagic
        return vermagic.split(" ", 1)[0] if vermagic else None

    @property
    def intree(self) -> bool:
        """It was built as part of a kernel tree."""
        return self.modinfo.get("intree") == "Y"

    def require_unsigned(self, *, strip: bool) -> None:
        """SignedError if a signature is there that may not be stripped."""
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
        """The base BTF and where it comes from; BaseError if there is none that fits."""
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
        """Some pass needed the base, and it was found."""
        return self._found is not None

    def base_path(self, folder: str) -> str:
        """A file with the base that pahole takes as ``--btf_base``, made in *folder* if need be.

        Where the kernel was built with gcc and the module with clang, it is as clang would have
        had it, or pahole would find little of the module there; all ids are the same.
        """
        from kbtf.btf.compilers import as_by_clang, made_by
        from kbtf.elf.vmlinux import base_file

        base = self.found_base
        kernels = made_by(base.btf)
        if kernels == "gcc" and self.compiler == "clang":
            self.note("built with clang, the kernel with gcc: types are looked for as clang's")
            base = base._replace(btf=as_by_clang(base.btf), path=None)
        elif kernels == "clang" and self.compiler == "gcc":
            self.warn(
                "built with gcc, the kernel with clang: .BTF repeats types of the kernel, and "
                "kfuncs cannot take them from BPF programs; build with LLVM=1"
            )
        return base_file(base, folder)

    @property
    def compiler(self) -> str | None:
        """What it was built with, ``gcc`` or ``clang``; None if it does not say."""
        comment = self.image.data(".comment") or b""
        if b"clang version" in comment:
            return "clang"
        return "gcc" if b"GCC: " in comment else None

    @property
    def has_btf(self) -> bool:
        """A pass or the file gave it ``.BTF``."""
        return self._btf is not None or bool(self.image.data(".BTF"))

    @property
    def has_btf_base(self) -> bool:
        """A pass or the file gave it ``.BTF.base``."""
        return self._btf_base is not None or bool(self.image.data(".BTF.base"))

    @property
    def btf_base(self) -> Btf | None:
        """The distilled base, None if the module has none."""
        data = self.image.data(".BTF.base") if self._btf_base is None else None
        if data:
            with located(self.path, ".BTF.base"):
                self._btf_base = Btf.parse(data)
        return self._btf_base

    @property
    def btf(self) -> Btf | None:
        """The split BTF, on the distilled base or on the vmlinux's; None if there is none."""
        data = self.image.data(".BTF") if self._btf is None else None
        if data:
            if self.btf_base is None:
                self._btf = self._parse_plain(data)
            else:
                with located(self.path, ".BTF"):
                    self._btf = Btf.parse(data, self.btf_base)
        return self._btf

    def set_btf(self, btf: Btf, btf_base: Btf | None = None) -> None:
        """Replace the split BTF, and the distilled base that it stands on."""
        self._btf, self._btf_base = btf, btf_base

    def _parse_plain(self, split: bytes) -> Btf:
        """Split BTF on vmlinux, refused if it was made for another one than was found."""
        base = self.base
        with located(self.path, ".BTF"):
            try:
                btf = Btf.parse(split, base)
                _native.check_fit(btf.index)
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
        """Leave a section out of the file that is written."""
        self.image.remove_section(name)

    def to_bytes(self) -> bytes:
        """The file with its changes, as it is before it is signed or compressed."""
        return self.to_pieces().to_bytes()

    def to_pieces(self) -> Pieces:
        """The same in pieces, of which those that did not change are no copies."""
        with located(self.path):
            image = self.image.to_pieces()
        return Pieces([*image, self.signature.data]) if self.signature else image

    def skip(self, reason: str) -> None:
        """Leave this module alone: no further phase runs, nothing but a signature changes."""
        self.skipped = reason

    def note(self, text: str) -> None:
        """Something worth knowing, shown with -v."""
        self.notes.append(text)

    def warn(self, text: str) -> None:
        """Something that is probably wrong, always shown."""
        self.warnings.append(text)


@contextmanager
def located(file: str, section: str | None = None) -> Iterator[None]:
    """Add file and section to a KbtfError that passes by and does not name its own."""
    try:
        yield
    except KbtfError as error:
        if error.file is None:
            error.file = file
            if section:
                error.where = f"{section}: {error.where}" if error.where else section
        raise


def read_file(path: str) -> bytes:
    """The contents of a regular file."""
    try:
        # A FIFO would keep open() waiting.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            if not os.path.isfile(path):
                raise KbtfError("is not a regular file", file=path)
            return file.read()
    except OSError as error:
        raise os_error(error, path) from error


def _split_signature(data: bytes) -> tuple[bytes, Signature | None]:
    end = len(data)
    while data.endswith(_SIGNATURE_MAGIC, 0, end):
        end = _signature_start(data, end)
    return data[:end], Signature(data[end:]) if end < len(data) else None


def _signature_start(data: bytes, end: int) -> int:
    info_at = end - len(_SIGNATURE_MAGIC) - _SIGNATURE_INFO_LEN
    if info_at < 0:
        raise ElfError("the module signature is truncated")
    sig_len = int.from_bytes(data[info_at + 8 : info_at + 12], "big")
    if sig_len > info_at:
        raise ElfError(f"module signature of {sig_len} bytes reaches before the file")
    return info_at - sig_len


def _read_modinfo(image: ElfImage) -> dict[str, str]:
    """The key=value strings of ``.modinfo``, the first of each key."""
    info: dict[str, str] = {}
    for entry in (image.data(".modinfo") or b"").split(b"\0"):
        key, _, value = entry.decode("utf-8", "surrogateescape").partition("=")
        info.setdefault(key, value)
    return info
