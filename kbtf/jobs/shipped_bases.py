# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Bases for other machines: identified by hash, and sent to machines that lack them.

Each machine caches the bases it receives, so a base of megabytes is sent there once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.base import Base
from kbtf.btf.btf import Btf
from kbtf.errors import BaseError, MachineError
from kbtf.kernel import cache
from kbtf.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ShippedBase(NamedTuple):
    """A `Base` without its contents."""

    sha256: str
    source: str
    release: str | None
    notes: tuple[str, ...]


class NeedBases(NamedTuple):
    """The answer of a machine that lacks contents: their hashes."""

    sha256: tuple[str, ...]


def require_same_version(version: str) -> None:
    """MachineError if the sender has another version of kbtf, whose results may differ."""
    if version != VERSION:
        raise MachineError(
            f"a worker has kbtf {VERSION}, this is {version}",
            hint="install the same version there",
        )


_received: dict[ShippedBase, Base] = {}
_MOST_RECEIVED = 8  # bases that a process keeps open


def shipped(base: Base) -> ShippedBase:
    """A hash that identifies *base*."""
    from hashlib import sha256

    digest = sha256(base.btf.data).hexdigest()
    return ShippedBase(digest, base.source, base.release, base.notes)


def received(wanted: ShippedBase, contents: Mapping[str, bytes]) -> Base | None:
    """The base, from *contents* by hash, or received earlier; None if neither.

    BaseError if the contents do not match their hash.
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
    """All *wanted* bases, as from `received`, or the missing ones."""
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
        raise BaseError("does not match its sha256", file=wanted.source)
    if folder is not None and cache.store_contents(data, folder):
        return _base(wanted, {})
    return Base(Btf.parse(data), wanted.source, None, wanted.release, wanted.notes)
