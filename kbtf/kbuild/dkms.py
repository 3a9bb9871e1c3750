"""The drop-in by which dkms gives the modules of every package resilient BTF.

dkms strips, signs and compresses modules between a package's make command and its ``POST_BUILD``.
DWARF, of which BTF is made, is gone by then, and nothing may change a signed module.  So the
drop-in lets dkms find another ``make``, which runs the real one and then kbtf.  It is two files:
a configuration of dkms, and that ``make``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from typing import TYPE_CHECKING

from kbtf.elf.write import replace_file
from kbtf.errors import KbtfError, ToolError, os_error
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONFIGURATION = "etc/dkms/framework.conf.d/kbtf.conf"
_MAKE = "etc/dkms/kbtf/make"
_OURS = "Written by 'kbtf dkms enable'"
_PROGRAM = "kbtf="
# What dkms must know to heed the drop-in: both are in its script since 3.0.4.
_NEEDED = ("/etc/dkms/framework.conf.d/", "DKMS_DIRECTIVE")


class Status(NamedTuple):
    """Whether the drop-in is there and what keeps it from working."""

    enabled: bool
    program: str | None
    """The kbtf that it runs."""
    files: list[str]
    problems: list[str]


def enable(root: str, program: str) -> list[str]:
    """Write the drop-in below *root*, to run *program*; the files.  Never replaces a foreign one.

    The configuration is written last: without it dkms knows nothing of the other file.
    """
    make, configuration = _files(root)
    _require_ours(make, configuration)
    _write(make, _template("dkms-make.sh").replace("@KBTF@", shlex.quote(program)), 0o755)
    _write(configuration, _template("dkms.conf"), 0o644)
    return [make, configuration]


def disable(root: str) -> list[str]:
    """Remove the drop-in below *root*, the configuration first; the files that were there."""
    make, configuration = _files(root)
    _require_ours(make, configuration)
    removed = []
    try:
        for path in (configuration, make):
            if os.path.lexists(path):
                os.unlink(path)
                removed.append(path)
    except OSError as error:
        raise os_error(error) from error
    try:
        os.rmdir(os.path.dirname(make))
    except OSError:
        pass  # it is not there, or holds what somebody else put there
    return removed


def status(root: str) -> Status:
    """What is there below *root*."""
    make, configuration = _files(root)
    files = [path for path in (make, configuration) if os.path.lexists(path)]
    if not files:
        return Status(False, None, [], [])
    problems = [f"{path} is missing" for path in (make, configuration) if path not in files]
    problems += [f"{path} was not written by kbtf" for path in files if not _is_ours(path)]
    program = None if problems else _program_of(make)
    if program and not os.access(program, os.X_OK):
        problems.append(f"{program}, which it runs, cannot be run")
    return Status(configuration in files, program, files, problems)


def require_dkms() -> None:
    """ToolError if no dkms is installed, or one that heeds no drop-in."""
    path = shutil.which("dkms", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        raise ToolError(
            "dkms is not installed", hint="with --root / the drop-in is written all the same"
        )
    text = _read(path)
    if not all(word in text for word in _NEEDED):
        raise ToolError(
            "this dkms reads no drop-ins, as dkms does since 3.0.4",
            file=path,
            hint='write MAKE[0]="kbtf build -C ${kernel_source_dir}" in dkms.conf of the package',
        )


def exposed(paths: Iterable[str]) -> str | None:
    """The first file or folder, of *paths* and what they lie in, that others than root can change.

    dkms runs all of it as root.
    """
    for path in paths:
        real = os.path.realpath(path)
        while True:
            try:
                facts = os.stat(real)
            except OSError:
                break
            writable = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if facts.st_uid or (writable and not facts.st_mode & stat.S_ISVTX):
                return real
            if real == "/":
                break
            real = os.path.dirname(real)
    return None


def _files(root: str) -> tuple[str, str]:
    return os.path.join(root, _MAKE), os.path.join(root, _CONFIGURATION)


def _require_ours(*paths: str) -> None:
    for path in paths:
        if os.path.lexists(path) and not _is_ours(path):
            raise KbtfError("was not written by kbtf", file=path, hint="move it away first")


def _is_ours(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path) and _OURS in _read(path)


def _program_of(make: str) -> str | None:
    lines = [line for line in _read(make).splitlines() if line.startswith(_PROGRAM)]
    try:
        words = shlex.split(lines[0].removeprefix(_PROGRAM)) if lines else []
    except ValueError:
        words = []
    return words[0] if words else None


def _template(name: str) -> str:
    return _read(os.path.join(os.path.dirname(__file__), name))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError as error:
        raise os_error(error, path) from error


def _write(path: str, text: str, mode: int) -> None:
    umask = os.umask(0o022)  # all may read it, whatever root's umask is
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        replace_file(path, text.encode("utf-8", "surrogateescape"))
        os.chmod(path, mode)
    except OSError as error:
        raise os_error(error) from error
    finally:
        os.umask(umask)
