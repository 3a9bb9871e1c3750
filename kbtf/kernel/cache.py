# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A directory that caches BTF unpacked from kernels, and its indexes.

An entry is raw BTF in a file named ``<key>_<checksum>_<release>.btf``.  The key identifies one
state of the source file; the checksum is that of the contents and is verified at each use.  It only
reveals damage, because nobody else can write here; an entry that is named by its contents has their
sha256.  A file's modification time is that of its last use, to the minute.  Failures here only cost
time: no function raises an OSError.
"""

from __future__ import annotations

import mmap
import os
import stat
import time
from contextlib import suppress
from typing import NamedTuple

from kbtf.files.checksum import checksum

MAX_ENTRIES = 32
MAX_BYTES = 512 << 20
_JUST_NOW = 60  # seconds
_STALE_AFTER = 3600  # seconds; the longest life of a temporary file
_VERSION = "2"  # of the format of entries
_CONTENTS = "contents"  # the key of entries that do not come from a file
_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Entry(NamedTuple):
    """BTF from the cache."""

    data: mmap.mmap
    path: str
    release: str | None
    """Of the kernel, if it was known when the entry was created."""


def directory() -> str | None:
    """The cache directory, created if needed; None unless only this user can write to it.

    ``$KBTF_CACHE_DIR``, else for root /var/cache/kbtf, for others ``$XDG_CACHE_HOME/kbtf`` or
    ``~/.cache/kbtf``.
    """
    path = os.environ.get("KBTF_CACHE_DIR") or _default_directory()
    if not os.path.isabs(path):
        return None
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        if not os.path.lexists(path):
            os.mkdir(path, 0o700)
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    is_private = found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077
    return path if stat.S_ISDIR(found.st_mode) and is_private else None


def _default_directory() -> str:
    if os.geteuid() == 0:
        return "/var/cache/kbtf"  # sudo may keep another user's HOME
    home = os.environ.get("XDG_CACHE_HOME", "")
    try:
        if os.path.isabs(home) and os.stat(home).st_uid == os.geteuid():
            return os.path.join(home, "kbtf")
    except OSError:
        pass
    return os.path.expanduser("~/.cache/kbtf")


def _key(source: os.stat_result) -> str:
    numbers = (source.st_dev, source.st_ino, source.st_size, source.st_mtime_ns, source.st_ctime_ns)
    return "-".join([_VERSION, *(f"{number:x}" for number in numbers)])


def look_up(source: os.stat_result, folder: str) -> Entry | None:
    """The entry made from the file in the state *source*, or None; a damaged one is dropped."""
    prefix = _key(source) + "_"
    for name in _names(folder):
        if name.startswith(prefix) and name.endswith(".btf"):
            wanted, _, release = name.removesuffix(".btf").removeprefix(prefix).partition("_")
            path = os.path.join(folder, name)
            data = _mapped(path)
            if data is not None and checksum(data) == wanted:
                return Entry(data, path, release or None)
            drop(path)
    return None


def _mapped(path: str) -> mmap.mmap | None:
    """The contents of a file, if it is ours; this counts as a use."""
    try:
        fd = os.open(path, os.O_RDONLY | _OPEN)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            return None
        data = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        _mark_used(fd, found.st_mtime)
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)
    return data


def look_up_named(name: str, folder: str) -> mmap.mmap | None:
    """The file *name* that `store_named` wrote; the caller checks its contents."""
    return _mapped(os.path.join(folder, name))


def look_up_contents(digest: str, folder: str) -> Entry | None:
    """The entry with the sha256 *digest* that does not come from a file of this machine."""
    path = os.path.join(folder, f"{_CONTENTS}_{digest}_.btf")
    data = _mapped(path)
    if data is None or _sha256(data) != digest:
        return None
    return Entry(data, path, None)


def _mark_used(fd: int, last: float) -> None:
    """Record a use, unless there was one just now: a disk that writes may keep this waiting."""
    if 0 <= time.time() - last < _JUST_NOW:
        return
    with suppress(OSError):  # a read-only file system: nothing can be dropped there either
        os.utime(fd)


def _sha256(data: mmap.mmap | memoryview) -> str:
    from hashlib import sha256

    return sha256(data).hexdigest()


def drop(path: str) -> None:
    """Remove an entry."""
    with suppress(OSError):
        os.unlink(path)


def store(source: os.stat_result, data: memoryview, release: str | None, folder: str) -> bool:
    """Store *data* as the BTF of the file in the state *source*; whether that worked.

    *release* must be a name that `kbtf.kernel.release.is_release` accepts.
    """
    return store_named(f"{_key(source)}_{checksum(data)}_{release or ''}.btf", data, folder)


def store_contents(data: bytes, folder: str) -> bool:
    """Store *data* for `look_up_contents`; whether that worked."""
    view = memoryview(data)
    return store_named(f"{_CONTENTS}_{_sha256(view)}_.btf", view, folder)


def store_named(name: str, data: memoryview, folder: str) -> bool:
    """Store *data* as the file *name*, replacing an older one; whether that worked."""
    if len(data) > MAX_BYTES:
        return False
    path = os.path.join(folder, name)
    temporary = os.path.join(folder, f".{os.getpid()}-{os.urandom(8).hex()}")
    try:
        _write(temporary, data)
        os.rename(temporary, path)
    except OSError:
        drop(temporary)
        return False
    prune(folder)
    return True


def _write(path: str, data: memoryview) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def prune(folder: str, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
    """Drop the least recently used entries until the rest is within the limits.

    Temporary files whose writer must be dead are also removed.
    """
    total = kept = 0
    newest = None
    for used, size, name in sorted(_entries(folder), reverse=True):
        newest = used if newest is None else newest
        total += size
        kept += 1
        is_stale = name.startswith(".") and newest - used > _STALE_AFTER
        if is_stale or kept > max_entries or total > max_bytes:
            drop(os.path.join(folder, name))
            total -= size
            kept -= 1


def _entries(folder: str) -> list[tuple[float, int, str]]:
    """Time of the last use, size and name of each file."""
    found = []
    for name in _names(folder):
        try:
            entry = os.lstat(os.path.join(folder, name))
        except OSError:
            continue
        if stat.S_ISREG(entry.st_mode):
            found.append((entry.st_mtime, entry.st_size, name))
    return found


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
