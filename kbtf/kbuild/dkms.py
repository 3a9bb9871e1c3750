# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The drop-in that makes dkms add resilient BTF to the modules of every package.

dkms strips, signs and compresses modules between a package's make command and its ``POST_BUILD``.
By then, the DWARF that BTF is made from is gone, and nothing may change a signed module.  So the
drop-in makes dkms find another ``make``, which runs the real one with kbtf in Kbuild's BTF step.
It consists of three files: a dkms configuration, that ``make``, and a makefile that every make
reads first.
"""

from __future__ import annotations

import os
import shlex
import shutil
from typing import NamedTuple

from kbtf.errors import ToolError
from kbtf.kbuild import drop_in

_CONFIGURATION = "etc/dkms/framework.conf.d/kbtf.conf"
_MAKE = "etc/dkms/kbtf/make"
_HOOK = "etc/dkms/kbtf/hook.mk"
_OURS = "Written by 'kbtf dkms enable'"
_PROGRAM = "export KBTF="
# What dkms must support for the drop-in to work: both are in its script since 3.0.4.
_NEEDED = ("/etc/dkms/framework.conf.d/", "DKMS_DIRECTIVE")


class Status(NamedTuple):
    """Whether the drop-in is installed, and what prevents it from working."""

    enabled: bool
    program: str | None
    """The kbtf that it runs."""
    files: list[str]
    problems: list[str]


def enable(root: str, program: str) -> list[str]:
    """Write the drop-in below *root*, to run *program*; the files.  Never replaces a foreign one.

    The configuration is written last: without it, dkms ignores the other files.
    """
    files = make, hook, configuration = _files(root)
    drop_in.require_ours(_OURS, *files)
    head = f"# {_OURS}; 'kbtf dkms disable' removes it.\n"
    drop_in.write(hook, head + drop_in.template("hook.mk"), 0o644)
    drop_in.write(make, drop_in.template("dkms-make.sh", shlex.quote(program)), 0o755)
    drop_in.write(configuration, drop_in.template("dkms.conf"), 0o644)
    return list(files)


def disable(root: str) -> list[str]:
    """Remove the drop-in below *root*, the configuration first; the removed files."""
    files = _files(root)
    drop_in.require_ours(_OURS, *files)
    removed = drop_in.remove(*reversed(files))
    try:
        os.rmdir(os.path.dirname(files[0]))
    except OSError:
        pass  # it does not exist, or has files of others
    return removed


def status(root: str) -> Status:
    """The state below *root*."""
    make, _, configuration = wanted = _files(root)
    files = [path for path in wanted if os.path.lexists(path)]
    if not files:
        return Status(False, None, [], [])
    problems = [f"{path} is missing" for path in wanted if path not in files]
    foreign = [path for path in files if not drop_in.is_ours(path, _OURS)]
    problems += [f"{path} was not written by kbtf" for path in foreign]
    program = None if problems else _program_of(make)
    if program and not os.access(program, os.X_OK):
        problems.append(f"{program}, which it runs, cannot be run")
    return Status(configuration in files, program, files, problems)


def require_dkms() -> None:
    """ToolError if dkms is not installed, or does not support drop-ins."""
    path = shutil.which("dkms", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        raise ToolError(
            "dkms is not installed", hint="use --root / to write the drop-in nevertheless"
        )
    text = drop_in.read(path)
    if not all(word in text for word in _NEEDED):
        raise ToolError(
            "this dkms does not read drop-ins, unlike 3.0.4 and later",
            file=path,
            hint='write MAKE[0]="kbtf build -C ${kernel_source_dir}" in dkms.conf of the package',
        )


def _files(root: str) -> tuple[str, str, str]:
    make, hook, configuration = (os.path.join(root, p) for p in (_MAKE, _HOOK, _CONFIGURATION))
    return make, hook, configuration


def _program_of(make: str) -> str | None:
    lines = [line.strip() for line in drop_in.read(make).splitlines()]
    values = [line.removeprefix(_PROGRAM) for line in lines if line.startswith(_PROGRAM)]
    try:
        words = shlex.split(values[0]) if values else []
    except ValueError:
        words = []
    return words[0] if words else None
