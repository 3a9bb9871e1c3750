# SPDX-License-Identifier: GPL-2.0-only
"""The kernel module that comes with this package."""

import os
import subprocess
from importlib.resources import as_file, files

_PREFIX, _SUFFIX = "beacon-", ".ko"


def releases() -> list[str]:
    """The kernels that have a module here."""
    names = [entry.name for entry in (files(__name__) / "modules").iterdir()]
    return sorted(name.removeprefix(_PREFIX).removesuffix(_SUFFIX) for name in names)


def load(release: str | None = None) -> None:
    """Load the module into the running kernel; requires root.

    LookupError if there is none for its release.
    """
    release = release or os.uname().release
    if release not in releases():
        raise LookupError(f"no module for {release}, only for {', '.join(releases())}")
    # In a zipped package, the file exists only inside this block.
    with as_file(files(__name__) / "modules" / f"{_PREFIX}{release}{_SUFFIX}") as path:
        subprocess.run(["insmod", str(path)], check=True)
