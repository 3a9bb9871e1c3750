# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A file to be replaced, its attributes, and a user who may do little."""

from __future__ import annotations

import os
import stat
import struct
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf.files.replace import Written

if TYPE_CHECKING:
    from collections.abc import Iterator

HELPER = [sys.executable, str(Path(__file__).parents[1] / "faults" / "replace.py")]
NOBODY = 65534
REPLACED = Written(True, [])
UNCHANGED = Written(False, [])
OLD = b"old " * 1000
NEW = b"n" * 5000  # what HELPER writes for ("n", "5000")
REMNANT = ".a.ko.kbtf-0123456789abcdef"
CHANGING_CALLS = ["openat", "flock", "write", "fchown", "fsetxattr", "fchmod", "fsync", "/^rename"]


def require(condition: object, reason: str) -> None:
    """Skip without *condition*, or fail where nothing may be skipped."""
    if not condition:
        (pytest.fail if os.environ.get("KBTF_REQUIRE_ALL") == "1" else pytest.skip)(reason)


def require_root() -> None:
    require(os.geteuid() == 0, "only root may change owners")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Run without privileges; only paths relative to the current directory are within reach."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def acl(*entries: tuple[int, int, int]) -> bytes:
    """An access control list as extended attributes hold it: tag, permissions, id."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


ACL_FOR_NOBODY = acl(
    (0x01, 6, 0xFFFFFFFF),  # owner
    (0x02, 6, NOBODY),
    (0x04, 4, 0xFFFFFFFF),  # group
    (0x10, 6, 0xFFFFFFFF),  # mask
    (0x20, 4, 0xFFFFFFFF),  # others
)
