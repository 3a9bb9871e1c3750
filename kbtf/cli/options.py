# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The settings of commands that run passes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kbtf.cli.inputs import add_jobs

if TYPE_CHECKING:
    from kbtf.hooks.options import OptionGroup


def add_base_options(group: OptionGroup) -> None:
    """The options for the source of the base BTF."""
    group.add(
        "--base",
        metavar="FILE",
        help="the vmlinux that the modules were built for: ELF, compressed kernel or raw BTF "
        "(default: $KBTF_BASE, else the one found for their release)",
    )
    group.add(
        "-C", "--kdir", metavar="DIR", help="the kernel build directory; its vmlinux is tried first"
    )
    group.add(
        "--allow-other-release",
        action="store_true",
        default=False,
        help="accept a base of another kernel release than the module's",
    )
    group.add(
        "--no-cache",
        action="store_true",
        default=False,
        safe=True,
        help="do not cache the BTF of compressed kernels",
    )


def add_run_options(group: OptionGroup) -> None:
    """The options of a run that may also be in the configuration."""
    add_base_options(group)
    add_jobs(group)
    group.add(
        "--strip-signature",
        action="store_true",
        default=False,
        help="remove a signature, which any change makes invalid",
    )
    group.add(
        "--dry-run",
        action="store_true",
        default=False,
        help="do everything except writing",
    )


def hide(group: OptionGroup, *keys: str) -> None:
    """Leave options out of the help that are accepted only because they are those of a run."""
    for key in keys:
        group.options[key].kwargs["help"] = argparse.SUPPRESS
