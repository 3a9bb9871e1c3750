# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf-resolve-btfids``: a stand-in for Kbuild's ``$(RESOLVE_BTFIDS)``, in each contract.

Its messages and exit codes are those of tools/bpf/resolve_btfids.  Ids that are already resolved
are not changed: resolving them again, as the original does, would move the flags of a set to other
kfuncs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.kbuild.console import report
from kbtf.kbuild.contracts.detect import detect
from kbtf.kbuild.resolve_btfids.elf_file import PROGRAM
from kbtf.kbuild.resolve_btfids.options import parse

if TYPE_CHECKING:
    from kbtf.errors import KbtfError

_FAILED = 255


def fail(args: list[str], error: KbtfError) -> int:
    """Report the error that stopped the run; return the exit code."""
    return report(PROGRAM, error, _FAILED)


def run(args: list[str]) -> int:
    """Run ``kbtf-resolve-btfids`` with the arguments *args*; the exit code."""
    options = parse(args)
    return detect(options).resolve(options)
