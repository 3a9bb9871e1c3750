# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Find installed plugins, without importing pluggy: most often there are none."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRY_POINT_GROUP = "kbtf.plugins"


class EntryPoint(NamedTuple):
    """A line of the group ``kbtf.plugins`` in the metadata of an installed distribution."""

    name: str
    target: str
    distribution: str
    version: str
    folder: str
    """The directory with the metadata of the distribution."""


def installed_plugins() -> Iterator[EntryPoint]:
    """The entry points of all installed distributions.

    Read directly, because importlib.metadata costs more than the rest of the startup.
    """
    seen = set()
    for folder in sys.path:
        try:
            entries = sorted(os.listdir(folder or "."))
        except OSError:
            continue
        for entry in entries:
            if not entry.endswith(".dist-info"):
                continue
            distribution, _, version = entry.removesuffix(".dist-info").partition("-")
            if distribution in seen:
                continue
            seen.add(distribution)
            path = os.path.join(folder, entry)
            for name, target in _entry_points(os.path.join(path, "entry_points.txt")):
                yield EntryPoint(name, target, distribution, version, path)


def _entry_points(path: str) -> list[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return []
    _, found, section = text.partition(f"[{ENTRY_POINT_GROUP}]\n")
    if not found:
        return []
    lines = section.partition("\n[")[0].splitlines()
    pairs = [line.partition("=") for line in lines if "=" in line]
    return [(name.strip(), target.strip()) for name, _, target in pairs]
