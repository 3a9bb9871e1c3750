# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The version of kbtf that an installed plugin requires, from its distribution's metadata.

pip checks that at installation, but kbtf may be replaced later, or installed by other means.
"""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


def unmet(folder: str, version: str) -> str | None:
    """The requirement on kbtf, as written, if *version* does not meet it.

    *folder* is a ``.dist-info``; one with unreadable metadata has no requirement.
    """
    for text in _requirements(folder):
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue  # written by another tool
        applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if canonicalize_name(wanted.name) != "kbtf" or not applies:
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            return str(wanted.specifier)
    return None


def _requirements(folder: str) -> list[str]:
    try:
        return Distribution.at(Path(folder)).requires or []
    except UnicodeDecodeError:
        return []
