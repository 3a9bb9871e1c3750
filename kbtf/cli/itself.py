# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The path of the running kbtf, for other programs to run."""

from __future__ import annotations

import os
import sys

import kbtf
from kbtf.cli.terminal.messages import print_warning
from kbtf.errors import UsageError


def program_to_run(given: str | None, runner: str) -> str:
    """The absolute path of the kbtf that *runner* should run: *given*, or this one."""
    if given is not None:
        if not os.path.isabs(given):
            raise UsageError(f"--program {given} is not an absolute path")
        return given
    program = os.path.abspath(sys.argv[0])
    if os.path.basename(program) != "kbtf" or not os.access(program, os.X_OK):
        raise UsageError(f"no kbtf was found for {runner} to run", hint="name it with --program")
    return program


def warn_if_exposed(program: str, runner: str) -> None:
    """Warn if a user other than root can change the program that *runner* runs as root."""
    from kbtf.kbuild.exposed import exposed

    path = exposed((program, sys.executable, os.path.dirname(kbtf.__file__)))
    if path:
        print_warning(
            f"{path}: users other than root can change it, and {runner} runs it as root; install "
            "kbtf where only root can write, such as in /opt or from a package"
        )
