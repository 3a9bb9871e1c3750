# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Owner, mode and extended attributes of a file that replaces another."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kbtf.errors import reason

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_OURS_TO_SET = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.ENODATA)
_OF_THE_OLD_CONTENT = ("security.ima", "security.evm")


def copy_attributes(model: int, file: int, notes: list[str]) -> None:
    """Give *file* the owner, extended attributes and mode of *model*; note what the system denies.

    In this order: a change of owner drops attributes and mode bits, and a read-only mode would
    refuse attributes.
    """
    wanted = os.fstat(model)
    mode = stat.S_IMODE(wanted.st_mode)
    if not _copy_owner(wanted, file, notes):
        mode &= ~(stat.S_ISUID | stat.S_ISGID)  # they would apply to another owner
    _copy_extended(model, file, notes)
    with _noting(notes, f"mode {mode:04o}"):
        os.fchmod(file, mode)


def _copy_owner(wanted: os.stat_result, file: int, notes: list[str]) -> bool:
    """Whether *file* has the owner and the group of *wanted* now."""
    now = os.fstat(file)
    if now.st_gid != wanted.st_gid:
        with _noting(notes, f"group {wanted.st_gid}"):
            os.fchown(file, -1, wanted.st_gid)
    if now.st_uid != wanted.st_uid:
        with _noting(notes, f"owner {wanted.st_uid}"):
            os.fchown(file, wanted.st_uid, -1)
    now = os.fstat(file)
    return (now.st_uid, now.st_gid) == (wanted.st_uid, wanted.st_gid)


def _copy_extended(model: int, file: int, notes: list[str]) -> None:
    wanted, now = _extended(model, notes), _extended(file, notes)
    for name in now.keys() - wanted.keys():  # the directory's default ACL sets one
        if not name.startswith("security."):
            with _noting(notes, f"absence of {name}"):
                os.removexattr(file, name)
    for name, value in wanted.items():
        if name in _OF_THE_OLD_CONTENT:
            notes.append(f"{name} not kept: it vouches for the old content")
        elif now.get(name) != value:
            with _noting(notes, name):
                os.setxattr(file, name, value)


def _extended(file: int, notes: list[str]) -> dict[str, bytes]:
    """The extended attributes of *file*: those that can be read."""
    try:
        names = os.listxattr(file)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return {}
    values = {}
    for name in names:
        with _noting(notes, name):
            values[name] = os.getxattr(file, name)
    return values


@contextmanager
def _noting(notes: list[str], what: str) -> Iterator[None]:
    """An attribute that may not be set is a note, not an error."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_OURS_TO_SET:
            raise
        notes.append(f"{what} not kept: {reason(error)}")
