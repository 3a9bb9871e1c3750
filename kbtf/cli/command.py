# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The interface of a command, and the list of commands: one file each, imported when run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import argparse

COMMANDS = {
    "build": "build modules with Kbuild and add resilient BTF",
    "run": "add resilient BTF to modules",
    "check": "predict which kernels accept a module's BTF, and explain why others reject it",
    "status": "predict which installed modules lose their BTF at the next boot",
    "stats": "report how much .BTF.base adds to modules",
    "show": "show the BTF that modules have",
    "explain": "explain why a type is in .BTF.base",
    "encode": "encode a module's DWARF as split BTF",
    "dump": "print BTF as text, as C or as JSON",
    "distill": "distill split BTF into a small base and split BTF on that base",
    "relocate": "relocate distilled BTF to a vmlinux, as the kernel does",
    "undistill": "turn .BTF.base back into plain split BTF",
    "extract": "write one section of a module to a file",
    "base": "find, show, extract and compare the BTF of kernels",
    "kfuncs": "show and audit the kfuncs of modules and kernels",
    "ksyms": "link a BPF object against a kernel and modules, offline",
    "makefile": "print the path of a Makefile fragment",
    "dkms": "add resilient BTF to the modules of all DKMS packages",
    "doctor": "report what a build would do and what is missing",
    "plugins": "list the plugins and their hooks",
    "schema": "print the schema of a JSON document",
    "completion": "print a shell completion script",
    "demo": "run the four phases on a module that comes with kbtf",
}


class Command(Protocol):
    """A module of `kbtf.cli.commands`.

    One that also has ``settings`` is a `kbtf.cli.session.ConfiguredCommand`.
    """

    DESCRIPTION: str
    EXAMPLE: str

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add its options and words to *parser*."""

    def run(self, args: argparse.Namespace) -> int:
        """Run with *args*; return the exit code."""


def find(name: str) -> Command:
    """The command of that name."""
    return cast("Command", import_module(f"kbtf.cli.commands.{name}"))
