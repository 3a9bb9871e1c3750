# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Find the base BTF of a kernel release on this machine."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from kbtf.btf.base import Base
from kbtf.errors import BaseError, BaseNotFoundError, KbtfError, os_error
from kbtf.files.paths import is_below
from kbtf.kernel.base import open_base
from kbtf.kernel.release import is_release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.elf.module import Module

_PLACES = (
    "lib/modules/{}/build/vmlinux",
    "lib/modules/{}/build/vmlinux.unstripped",
    "sys/kernel/btf/vmlinux",
    "boot/vmlinuz-{}",
    "boot/vmlinux-{}",
    "usr/lib/debug/boot/vmlinux-{}",
    "usr/lib/debug/lib/modules/{}/vmlinux",
    "lib/modules/{}/vmlinux",
    "lib/modules/{}/vmlinuz",
    "lib/modules/{}/vmlinux.unstripped",
    "lib/modules/{}/kernel",
)
_RUNNING = "sys/kernel/btf/vmlinux"
_BTF_MODULE = "btf_vmlinux.ko*"
"""With CONFIG_DEBUG_INFO_BTF=m, the kernel's BTF is in a module among the others."""


def base_of(
    module: Module, named: str | None, *, kdir: str | None = None, cache: bool = True
) -> Base:
    """The base of a module: the *named* file, else the BTF of the kernel it was built for."""
    if named:
        return open_base(named, cache=cache)
    if module.release is None:
        raise BaseNotFoundError(
            "does not name the kernel it was built for (no vermagic)",
            file=module.path,
            hint="name that kernel's vmlinux with --base",
        )
    return find_base(module.release, kdir=kdir, cache=cache)


def find_base(
    release: str, *, kdir: str | None = None, cache: bool = True, root: str = "/"
) -> Base:
    """The base BTF of the kernel *release*: the first that exists and can be read.

    A vmlinux in the build directory *kdir* comes first and is used whatever its release; then
    come the places where distributions install kernels, below *root*.  Files that are broken or of
    another release are skipped with a note in `Base.notes`; if there is nothing else, this is the
    error.  If there is nothing at all, BaseNotFoundError lists the places that were searched.
    KbtfError if *kdir* is not a directory.
    """
    if kdir is not None:
        require_directory(kdir)
    if not is_release(release):  # as part of a path, it could lead anywhere
        raise BaseNotFoundError(f"{release!r} is not a kernel release")
    problems: list[KbtfError] = []
    paths = list(_candidates(release, kdir, root))
    for path in _existing(_distinct(paths)):
        try:
            base = open_base(path, cache=cache)
            if kdir is None or path not in paths[:2]:
                _check_release(base, release)
        except KbtfError as error:
            problems.append(error)
            continue
        return base._replace(notes=tuple(f"passed over {problem}" for problem in problems))
    if problems:
        raise problems[0]
    raise BaseNotFoundError(
        f"no BTF of kernel {release} was found, looked for " + ", ".join(paths),
        hint="name its vmlinux, vmlinuz or raw BTF with --base",
    )


def _candidates(release: str, kdir: str | None, root: str) -> Iterator[str]:
    if kdir is not None:
        yield os.path.join(kdir, "vmlinux")
        yield os.path.join(kdir, "vmlinux.unstripped")
    for place in _PLACES:
        path = os.path.join(root, place.format(release))
        if is_below(root, path) and (place != _RUNNING or release == os.uname().release):
            yield path


def _existing(paths: list[str]) -> Iterator[str]:
    """The files that exist; for a directory, the module in it that has the kernel's BTF."""
    for path in paths:
        if os.path.isdir(path):
            import glob

            pattern = os.path.join(glob.escape(path), "**", _BTF_MODULE)
            yield from sorted(glob.iglob(pattern, recursive=True))
        elif os.path.lexists(path):
            yield path


def require_directory(path: str) -> None:
    """KbtfError if the user named a directory that is none."""
    try:
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        raise os_error(error, path) from error
    if not is_directory:
        raise KbtfError("is not a directory", file=path)


def _distinct(paths: list[str]) -> list[str]:
    """Each file once: *kdir* is often the target of /lib/modules/*/build."""
    return list({os.path.realpath(path): path for path in reversed(paths)}.values())[::-1]


def _check_release(base: Base, release: str) -> None:
    if base.release not in (None, release):
        raise BaseError(f"is of kernel {base.release}, not {release}", file=base.source)
