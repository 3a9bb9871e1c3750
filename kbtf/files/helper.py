# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Programs that kbtf starts for part of its work, such as pahole and sign-file."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kbtf.errors import MachineError, reason
from kbtf.native._native import end_with_parent as end_with_parent

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping, Sequence

_SECRETS = ("KBUILD_SIGN_PIN",)


def run_helper(
    command: Sequence[str],
    *,
    captured: bool = True,
    secrets: bool = False,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end; OSError if it cannot be started.

    It has no input, ends within a second of kbtf if that is killed, and sees the passphrase of the
    signing key only with *secrets*.  *variables* are added to its environment.
    """
    import subprocess  # slow to import, and rarely needed

    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=captured,
        env=environment(secrets=secrets) | dict(variables or {}),
        preexec_fn=end_with_parent,
        check=False,
    )


def environment(*, secrets: bool = False) -> dict[str, str]:
    """The variables that a program inherits."""
    hidden = () if secrets else _SECRETS
    return {name: value for name, value in os.environ.items() if name not in hidden}


@contextmanager
def temporary_directory() -> Iterator[str]:
    """A temporary directory that only its owner can use; MachineError."""
    import tempfile

    try:
        directory = tempfile.TemporaryDirectory(prefix="kbtf-")
    except OSError as error:
        raise MachineError(
            f"no temporary directory can be made: {reason(error)}",
            hint="name one with the variable TMPDIR",
        ) from error
    with directory as path:
        yield path
