"""The base BTF of a kernel release, looked for on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.elf.release import is_release
from kbtf.elf.vmlinux import Base, open_base
from kbtf.errors import BaseError, BaseNotFoundError, KbtfError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACES = (
    "lib/modules/{}/build/vmlinux",
    "sys/kernel/btf/vmlinux",
    "boot/vmlinuz-{}",
    "boot/vmlinux-{}",
    "usr/lib/debug/boot/vmlinux-{}",
    "usr/lib/debug/lib/modules/{}/vmlinux",
    "lib/modules/{}/vmlinux",
    "lib/modules/{}/vmlinuz",
)
_RUNNING = "sys/kernel/btf/vmlinux"


def find_base(
    release: str, *, kdir: str | None = None, cache: bool = True, root: str = "/"
) -> Base:
    """The base BTF of the kernel *release*: the first that is there and can be read.

    A vmlinux in the build directory *kdir* comes first and is taken of whatever release it is;
    then come the places where distributions put kernels, below *root*.  What is there but broken
    or of another release is passed over with a note in `Base.notes`; if there is nothing else, it
    is the error.  BaseNotFoundError, which says where was looked, if there is nothing at all.
    """
    if not is_release(release):  # as part of a path it might lead anywhere
        raise BaseNotFoundError(f"{release!r} is not a kernel release")
    problems: list[KbtfError] = []
    paths = list(_candidates(release, kdir, root))
    for path in filter(os.path.lexists, _distinct(paths)):
        try:
            base = open_base(path, cache=cache)
            if path != paths[0] or kdir is None:
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
    for place in _PLACES:
        if place != _RUNNING or release == os.uname().release:
            yield os.path.join(root, place.format(release))


def _distinct(paths: list[str]) -> list[str]:
    """Each file once: *kdir* is often where /lib/modules/*/build leads."""
    return list({os.path.realpath(path): path for path in reversed(paths)}.values())[::-1]


def _check_release(base: Base, release: str) -> None:
    if base.release not in (None, release):
        raise BaseError(f"is of kernel {base.release}, not {release}", file=base.source)
