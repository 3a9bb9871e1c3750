# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Every error kbtf raises for a reason outside its own code.

Each class carries the exit code of the command line: 1 negative verdict, 2 usage, 3 bad input,
4 environment (a missing tool, a permission, a full disk).  A message reads
``<file>: <section or type>: <what is wrong>; <what to do>``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class KbtfError(Exception):
    """Base class of all errors; bad input, unless a subclass has another exit code.

    *what* is what is wrong, *where* the section or type, *file* the file, and *hint* what to do
    about it.  *file* may be filled in later by a caller that knows it.
    """

    exit_code = 3

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        file: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.file = file
        self.hint = hint

    @property
    def without_hint(self) -> str:
        """The message without the hint."""
        return ": ".join(part for part in (self.file, self.where, self.what) if part)

    def __str__(self) -> str:
        return f"{self.without_hint}; {self.hint}" if self.hint else self.without_hint


class BtfError(KbtfError):
    """Malformed BTF, or a request that this BTF cannot satisfy."""


class LoaderError(KbtfError):
    """A valid BPF object that libbpf does not open."""

    exit_code = 1


class MisfitError(BtfError):
    """A name or type id that does not exist, as in split BTF with a wrong base or none."""


class RelocationError(BtfError):
    """A type of a distilled base that matches no type of the target, or too many.

    *reason* is ``missing``, ``kind``, ``encoding``, ``size``, ``embedded`` (its size, which matters
    because the module embeds it in a struct), ``ambiguous`` or ``string``.  For ``string``,
    *type_id* is a type of the split and *name* is the string; else they are those of the
    distilled type.  *size* is None for kinds without one.  *candidates* are the types of the
    target with that name.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        file: str | None = None,
        hint: str | None = None,
        type_id: int = 0,
        kind: str = "",
        name: str = "",
        size: int | None = None,
        candidates: tuple[int, ...] = (),
        reason: str = "",
    ) -> None:
        super().__init__(what, where=where, file=file, hint=hint)
        self.type_id = type_id
        self.kind = kind
        self.name = name
        self.size = size
        self.candidates = candidates
        self.reason = reason


class ElfError(KbtfError):
    """Malformed ELF, or an ELF file of the wrong kind."""


class DwarfError(KbtfError):
    """DWARF that is missing, damaged, or cannot be expressed in BTF."""


class BtfIdsError(KbtfError):
    """A ``.BTF_ids`` section or one of its symbols that cannot be processed."""


class SignedError(KbtfError):
    """The module carries a signature, which any change would invalidate."""


class BaseError(KbtfError):
    """A base BTF that cannot be read, or that does not belong to the module."""


class BaseNotFoundError(BaseError):
    """No base BTF was given and none was found on this machine."""

    exit_code = 4


class UsageError(KbtfError):
    """Invalid options or configuration."""

    exit_code = 2


class MachineError(KbtfError):
    """Something outside the input is missing or denied: a tool, a permission, disk space."""

    exit_code = 4


class ToolError(MachineError):
    """An external program such as pahole is missing or failed."""


class PluginError(MachineError):
    """A plugin cannot be loaded, or raised something other than a KbtfError."""


def os_error(error: OSError, file: str | None = None) -> KbtfError:
    """*error* as a KbtfError: a missing or unsuitable file is input, the rest environment."""
    name = file or (str(error.filename) if error.filename is not None else None)
    what = reason(error)
    if name is None:  # tempfile found no usable directory
        return MachineError(what)
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return KbtfError(what, file=name)
    return MachineError(what, file=name)


def as_kbtf_error(error: KbtfError | OSError, file: str | None = None) -> KbtfError:
    """*error*, or that of the system as `os_error` describes it."""
    return error if isinstance(error, KbtfError) else os_error(error, file)


def reason(error: OSError) -> str:
    """The system's message for *error*, without its number and its file."""
    return (error.strerror or str(error)).lower()


def in_words(error: BaseException) -> str:
    """The class and the message of an error."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def about(error: KbtfError, path: str) -> KbtfError:
    """*error* with the module *path* as its file, unless it names one."""
    from copy import copy

    own = copy(error)
    own.file = own.file or path
    return own


@contextmanager
def located(file: str, section: str | None = None) -> Iterator[None]:
    """Add file and section to a KbtfError from within that does not name its own."""
    try:
        yield
    except KbtfError as error:
        if error.file is None:
            error.file = file
            if section:
                error.where = f"{section}: {error.where}" if error.where else section
        raise
