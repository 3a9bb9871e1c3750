# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The outcome of a run for a module."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kbtf.errors import KbtfError


class Size(NamedTuple):
    """The size of its BTF."""

    types: int
    bytes: int


class Outcome(NamedTuple):
    """The outcome for one module."""

    module: str
    output: str
    status: str
    """``done``, ``unchanged``, ``skipped`` or ``failed``."""
    base: str | None = None
    release: str | None = None
    btf: Size | None = None
    btf_base: Size | None = None
    ids: int | None = None
    sets: int | None = None
    reason: str | None = None
    """Why it was skipped or failed."""
    exit_code: int = 0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def failed(path: str, output: str, error: KbtfError) -> Outcome:
    """The outcome of a module that could not be processed."""
    return Outcome(path, output, "failed", reason=str(error), exit_code=error.exit_code)


def not_written(outcomes: list[Outcome], errors: dict[str, KbtfError]) -> list[Outcome]:
    """The outcomes, with ``failed`` for modules whose output could not be moved into place."""
    return [
        failed(outcome.module, outcome.output, errors[outcome.output])
        if outcome.output in errors
        else outcome
        for outcome in outcomes
    ]
