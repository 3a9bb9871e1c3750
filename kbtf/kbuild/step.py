# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""kbtf in Kbuild's BTF step: the variables for make, and the outcomes of the modules.

``hook.mk`` makes ``cmd_btf_ko`` of Kbuild run a command on each module right after it is linked.
So Kbuild decides the place, the time and the set of modules, whatever a package's makefiles or
scripts do around it, and if a command fails, the kernel's own step runs instead.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tempfile
from typing import TYPE_CHECKING

from kbtf.errors import MachineError, os_error
from kbtf.run.outcome import Outcome, Size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

HOOK = os.path.join(os.path.dirname(__file__), "hook.mk")
_SUFFIX = ".json"


class Steps:
    """The steps of one build: *command* is run for each module, in the current directory.

    ``-C KDIR MODULE`` is appended to it; before that, ``--encoder pahole --pahole PROGRAM`` if make
    was given one.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._folder = ""

    def __enter__(self) -> Steps:
        try:
            self._folder = tempfile.mkdtemp(prefix="kbtf-")
        except OSError as error:
            raise os_error(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """The variables that make Kbuild run the steps."""
        step = shlex.join([*self._command, "--step", self._folder])
        return {
            "MAKEFILES": " ".join(filter(None, [HOOK, os.environ.get("MAKEFILES")])),
            "KBTF_STEP": f"cd {shlex.quote(os.getcwd())} && exec {step}",
        }

    def outcomes(self) -> list[Outcome]:
        """The outcomes of the linked modules, by path."""
        found = []
        for name in os.listdir(self._folder):
            if name.endswith(_SUFFIX):
                found.append(_read(os.path.join(self._folder, name)))
        return sorted(found)


def record(folder: str, outcome: Outcome) -> None:
    """Store the outcome of one step for `Steps.outcomes`."""
    try:
        fd, path = tempfile.mkstemp(dir=folder)
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(outcome._asdict(), file)
        os.rename(path, path + _SUFFIX)
    except OSError as error:
        raise os_error(error) from error


def _read(path: str) -> Outcome:
    try:
        with open(path, encoding="utf-8") as file:
            row = json.load(file)
        for key in ("btf", "btf_base"):
            row[key] = Size(*row[key]) if row[key] else None
        for key in ("notes", "warnings"):
            row[key] = tuple(row[key])
        return Outcome(**row)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise MachineError(f"cannot be read: {error}", file=path) from error
