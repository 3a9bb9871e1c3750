# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The settings of a run: options of commands, and keys of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def add_jobs(group: OptionGroup) -> None:
    """The option ``-j``."""
    group.add(
        "-j",
        "--jobs",
        type=number_of_jobs,
        safe=True,
        metavar="N",
        help="work on N modules at once, 0 for one on each CPU (default: 1, or what make's "
        "jobserver allows)",
    )


def number_of_jobs(text: str) -> int:
    """The number after ``-j``."""
    import argparse

    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of jobs")
    return int(text)


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
    import argparse

    for key in keys:
        group.options[key].kwargs["help"] = argparse.SUPPRESS
