# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A kernel build directory: the argument of ``make -C`` for building an external module."""

from __future__ import annotations

import glob
import os

from kbtf.errors import MachineError
from kbtf.files.small import text_if_readable
from kbtf.kernel.release import is_release, path_release

_CONFIG = "include/config/auto.conf"


def default_kdir() -> str:
    """The build directory of the running kernel."""
    return f"/lib/modules/{os.uname().release}/build"


def require_kdir(kdir: str) -> None:
    """MachineError if *kdir* is not a kernel build directory; it lists existing ones."""
    if os.path.isfile(os.path.join(kdir, "Makefile")):
        return
    others = [f for f in sorted(glob.glob("/lib/modules/*/build")) if os.path.isdir(f)]
    hint = (
        "install the headers of that kernel (linux-headers, kernel-devel), or name another with -C"
    )
    if others:
        hint += f" (found {', '.join(others)})"
    raise MachineError("is not a kernel build directory", file=kdir, hint=hint)


def release_of(kdir: str) -> str | None:
    """The kernel release in the vermagic of modules built there."""
    # Debian's include/config/kernel.release has a different one for its 6.1.
    text = text_if_readable(os.path.join(kdir, "include/generated/utsrelease.h"))
    release = text.partition('"')[2].partition('"')[0]
    if not is_release(release):
        release = text_if_readable(os.path.join(kdir, "include/config/kernel.release")).strip()
    return release if is_release(release) else path_release(os.path.join(kdir, "vmlinux"))


def read_config(kdir: str) -> dict[str, str] | None:
    """The options of the kernel by name, without ``CONFIG_``; None if the file does not exist."""
    lines = text_if_readable(os.path.join(kdir, _CONFIG)).splitlines()
    pairs = (line.partition("=") for line in lines if line.startswith("CONFIG_"))
    found = {name.removeprefix("CONFIG_"): value.strip('"') for name, _, value in pairs}
    return found or None
