# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The interface that a range of kernels expects of the program that resolves ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbtf.kbuild.resolve_btfids.options import Options


class Contract(NamedTuple):
    """How Kbuild calls ``$(RESOLVE_BTFIDS)``, and how it uses the result."""

    name: str
    """The name in ``$KBTF_CONTRACT``."""
    kernels: str
    is_shown_by: Callable[[Options], bool]
    """Whether options belong to this contract and no other."""
    resolve: Callable[[Options], int]
    """Run with the options; return the exit code."""
