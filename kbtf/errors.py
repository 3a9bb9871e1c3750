"""Every error kbtf raises for a reason outside its own code.

Each class carries the exit code of the command line: 1 negative verdict, 2 usage, 3 bad input,
4 environment (a missing tool, a permission, a full disk).  A message reads
``<file>: <section or type>: <what is wrong>; <what to do>``.
"""

from __future__ import annotations


class KbtfError(Exception):
    """Base of all errors; bad input unless a child says otherwise.

    *what* says what is wrong, *where* names the section or type, *file* the file, *hint* says
    what to do about it.  *file* may be filled in later by a caller that knows it.
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

    def __str__(self) -> str:
        message = ": ".join(part for part in (self.file, self.where, self.what) if part)
        return f"{message}; {self.hint}" if self.hint else message


class BtfError(KbtfError):
    """Malformed BTF, or a request that this BTF cannot satisfy."""


class MisfitError(BtfError):
    """A name or type id that is not there: as split BTF has them beside another base, or alone."""


class RelocationError(BtfError):
    """A type of a distilled base for which the target has none that fits, or too many.

    *reason* is ``missing``, ``kind``, ``encoding``, ``size``, ``embedded`` (its size, which counts
    because the module has it by value in a struct), ``ambiguous`` or ``string``.  For ``string``,
    *type_id* is a type of the split and *name* is the string; else they are those of the
    distilled type.  *size* is None for kinds without one.  *candidates* are types of the target
    that have the name.
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
    """Malformed ELF, or an ELF file that is not what was asked for."""


class BtfIdsError(KbtfError):
    """A ``.BTF_ids`` section or one of its symbols that cannot be processed."""


class SignedError(KbtfError):
    """The module carries a signature, which any change would invalidate."""


class BaseError(KbtfError):
    """A base BTF that cannot be read, or that is not the module's."""


class BaseNotFoundError(BaseError):
    """No base BTF was given and none was found on this machine."""

    exit_code = 4


class UsageError(KbtfError):
    """Options or configuration that make no sense."""

    exit_code = 2


class MachineError(KbtfError):
    """Something outside the input is missing or refuses: a tool, a permission, disk space."""

    exit_code = 4


class ToolError(MachineError):
    """An external program such as pahole is missing or failed."""


class PluginError(MachineError):
    """A plugin cannot be loaded, or raised something that is no KbtfError."""


def os_error(error: OSError, file: str | None = None) -> KbtfError:
    """*error* as an error of ours: a missing or unsuitable file is input, the rest environment."""
    name = file or (str(error.filename) if error.filename is not None else None)
    what = (error.strerror or str(error)).lower()
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return KbtfError(what, file=name)
    return MachineError(what, file=name)
