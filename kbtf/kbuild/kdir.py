"""A kernel build directory: what ``make -C`` is given to build an external module."""

from __future__ import annotations

import glob
import os

from kbtf.elf.release import is_release, path_release
from kbtf.errors import MachineError

_CONFIG = "include/config/auto.conf"


def default_kdir() -> str:
    """That of the running kernel."""
    return f"/lib/modules/{os.uname().release}/build"


def require_kdir(kdir: str) -> None:
    """MachineError if *kdir* is no kernel build directory; it says where there are some."""
    if os.path.isfile(os.path.join(kdir, "Makefile")):
        return
    others = [f for f in sorted(glob.glob("/lib/modules/*/build")) if os.path.isdir(f)]
    hint = (
        "install the headers of that kernel (linux-headers, kernel-devel), or name others with -C"
    )
    if others:
        hint += f"; here are {', '.join(others)}"
    raise MachineError("is not a kernel build directory", file=kdir, hint=hint)


def release_of(kdir: str) -> str | None:
    """The release of the kernel that modules built there are for, as their vermagic has it."""
    # Debian's include/config/kernel.release is another one for its 6.1.
    text = _text(os.path.join(kdir, "include/generated/utsrelease.h"))
    release = text.partition('"')[2].partition('"')[0]
    if not is_release(release):
        release = _text(os.path.join(kdir, "include/config/kernel.release")).strip()
    return release if is_release(release) else path_release(os.path.join(kdir, "vmlinux"))


def read_config(kdir: str) -> dict[str, str] | None:
    """The options of the kernel by name, without ``CONFIG_``; None if they are not there."""
    lines = _text(os.path.join(kdir, _CONFIG)).splitlines()
    pairs = (line.partition("=") for line in lines if line.startswith("CONFIG_"))
    found = {name.removeprefix("CONFIG_"): value.strip('"') for name, _, value in pairs}
    return found or None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
