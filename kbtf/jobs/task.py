# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A task: one kind of work on each of many items, done here or on other machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kbtf.errors import KbtfError

_Result = TypeVar("_Result")


class Task(Protocol[_Result]):
    """The work to do on each item of a list; items are identified by index.

    On this machine, `run` does it, in this process or in forked ones.  For other machines, `pack`
    creates the argument of `function`, and `unpack` converts its result; all three can be pickled.
    """

    def prepare(self) -> None:
        """Prepare shared data before processes are forked."""

    def run(self, chunk: Sequence[int], begin: Callable[[int], None]) -> list[_Result]:
        """Process a chunk, calling *begin* with each index, and with -1 between items."""

    def failed(self, index: int, error: KbtfError) -> _Result:
        """The result for an item that could not be processed, or whose worker died."""

    @property
    def function(self) -> Callable[[Any], object]:
        """Runs elsewhere: takes the result of `pack`, returns NeedBases or input for `unpack`."""

    def pack(self, chunk: Sequence[int], contents: Sequence[str]) -> object:
        """The argument of *function*, with the *contents* of these bases."""

    def unpack(self, chunk: Sequence[int], answer: Any) -> list[_Result]:
        """The results of a chunk."""


class Watch(Protocol):
    """Receives the progress of the work."""

    def update(self, done: int, running: dict[int, float]) -> None:
        """*done* items are finished; those *running*, by index, started at that monotonic time."""
