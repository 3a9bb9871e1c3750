# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The hook that runs 'kbtf status' after each installation of a kernel."""

from __future__ import annotations

import os
import shlex

from kbtf.errors import MachineError
from kbtf.kbuild import drop_in

_OURS = "Written by 'kbtf status --hook enable'"
_PLACES = (
    # Debian, Ubuntu: run-parts calls it after dkms and the initramfs
    "etc/kernel/postinst.d/zz-kbtf",
    # Fedora, openSUSE, Arch: kernel-install
    "etc/kernel/install.d/95-kbtf.install",
)
_KERNEL_INSTALL = "usr/lib/kernel/install.d"


def enable(root: str, program: str) -> str:
    """Write the hook below *root*, to run *program*; its path.  Never replaces a foreign file."""
    path = _place(root)
    drop_in.require_ours(_OURS, path)
    drop_in.write(path, drop_in.template("kernel-hook.sh", shlex.quote(program)), 0o755)
    return path


def disable(root: str) -> list[str]:
    """Remove the hook below *root*; the removed files."""
    paths = [os.path.join(root, place) for place in _PLACES]
    drop_in.require_ours(_OURS, *paths)
    return drop_in.remove(*paths)


def _place(root: str) -> str:
    """Where the distribution below *root* expects it."""
    debian, other = (os.path.join(root, place) for place in _PLACES)
    if os.path.isdir(os.path.dirname(debian)):
        return debian
    if os.path.isdir(os.path.join(root, _KERNEL_INSTALL)):
        return other
    raise MachineError(
        f"neither {os.path.dirname(debian)} nor {os.path.join(root, _KERNEL_INSTALL)} exists",
        hint="run 'kbtf status -q' from this distribution's own hook for kernels",
    )
