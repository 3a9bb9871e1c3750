"""Bases for other machines: known by the hash of their contents, sent where they are not yet.

Each machine keeps those that it was sent in its cache, so that a base of megabytes goes there once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf import _native
from kbtf.btf.btf import Btf
from kbtf.elf import cache
from kbtf.elf.vmlinux import Base
from kbtf.errors import BaseError, MachineError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ShippedBase(NamedTuple):
    """All of a `Base` but its contents."""

    sha256: str
    source: str
    release: str | None
    notes: tuple[str, ...]


class NeedBases(NamedTuple):
    """What a machine answers that lacks contents: their hashes."""

    sha256: tuple[str, ...]


def require_same_version(version: str) -> None:
    """MachineError if who sent the work has another kbtf, whose results may be others."""
    if version != _native.VERSION:
        raise MachineError(
            f"a worker has kbtf {_native.VERSION}, this is {version}",
            hint="install the same version there",
        )


_received: dict[ShippedBase, Base] = {}
_MOST_RECEIVED = 8  # bases that a process keeps open


def shipped(base: Base) -> ShippedBase:
    """What tells *base* from every other."""
    from hashlib import sha256

    digest = sha256(base.btf.data).hexdigest()
    return ShippedBase(digest, base.source, base.release, base.notes)


def received(wanted: ShippedBase, contents: Mapping[str, bytes]) -> Base | None:
    """The base, from *contents* by hash, or from what came earlier; None if neither has it.

    BaseError if the contents are not what their hash says.
    """
    if wanted in _received:
        return _received[wanted]
    base = _base(wanted, contents)
    if base is not None:
        while len(_received) >= _MOST_RECEIVED:
            del _received[next(iter(_received))]
        _received[wanted] = base
    return base


def receive_all(
    wanted: Iterable[ShippedBase], contents: Mapping[str, bytes]
) -> dict[ShippedBase, Base] | NeedBases:
    """All bases that are *wanted*, as `received` has them, or what is missing for that."""
    found = {base: received(base, contents) for base in set(wanted)}
    there = {base: known for base, known in found.items() if known is not None}
    missing = {base.sha256 for base in found if base not in there}
    return NeedBases(tuple(sorted(missing))) if missing else there


def _base(wanted: ShippedBase, contents: Mapping[str, bytes]) -> Base | None:
    folder = cache.directory()
    entry = cache.look_up_contents(wanted.sha256, folder) if folder is not None else None
    if entry is not None:
        return Base(Btf.parse(entry.data), wanted.source, entry.path, wanted.release, wanted.notes)
    data = contents.get(wanted.sha256)
    if data is None:
        return None
    from hashlib import sha256

    if sha256(data).hexdigest() != wanted.sha256:
        raise BaseError("changed on its way", file=wanted.source)
    if folder is not None and cache.store_contents(data, folder):
        return _base(wanted, {})
    return Base(Btf.parse(data), wanted.source, None, wanted.release, wanted.notes)
