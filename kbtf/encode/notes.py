# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Notes on what the encoder left out, and why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from kbtf.say import counted, counted_is

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KINDS = ("language", "unit", "function", "kfunc", "split-dwarf", "reference")
"""By number: enum encode_note_kind of kbtf/native/dwarf/encode.h."""

_REASONS = {
    1: "unexpected-register",
    2: "inconsistent",
    4: "uncertain",
    8: "reordered",
    16: "ambiguous",
    32: "optimized",
}
"""By bit: enum dropped of kbtf/native/dwarf/encoder.h."""

_IN_WORDS = {
    "unexpected-register": "a parameter is not in the register of the ABI",
    "inconsistent": "its prototypes differ",
    "uncertain": "a packed struct is passed on the stack",
    "reordered": "the compiler reordered its parameters",
    "ambiguous": "several functions have that name",
    "optimized": "the compiler removed a parameter",
}

_WARNED_OF = {
    "unit": ("unit", ""),
    "kfunc": ("kfunc", " without a prototype"),
    "split-dwarf": ("unit", " whose types are in another file"),
}
"""The kinds of notes that are warnings, and what they are about: a noun and the rest."""

_MOST_WARNINGS = 16
"""Of one kind: a hostile module can have as many as its size allows, and would fill a log."""

_LANGUAGES = {0x1C: "Rust"}


class Note(NamedTuple):
    """Something that was left out.

    *kind* is ``language`` (a unit in a language that is not encoded), ``unit`` (one that BTF cannot
    express), ``function``, ``kfunc`` (one without a prototype), ``split-dwarf`` (a unit whose types
    are in another file) or ``reference`` (to a type that does not exist).
    """

    kind: str
    name: str
    """The name of the function or unit; for ``unit``, with the reason."""
    reasons: tuple[str, ...] = ()
    """Why a function was left out."""

    @property
    def is_warning(self) -> bool:
        """Whether it is shown as a warning."""
        return self.kind in _WARNED_OF

    def __str__(self) -> str:
        if self.kind == "language":
            return f"unit {self.name} is left out: it is written in {self.reasons[0]}"
        if self.kind == "unit":
            return f"a unit is left out: {self.name}"
        if self.kind == "function":
            why = "; ".join(_IN_WORDS[reason] for reason in self.reasons)
            return f"function {self.name} is left out: {why}"
        if self.kind == "kfunc":
            return f"kfunc {self.name} has no prototype: BPF programs cannot call it"
        if self.kind == "split-dwarf":
            return f"unit {self.name} is left out: its types are in another file (split DWARF)"
        return f"{counted_is(int(self.name), 'reference')} to no type, and became void"


class Remark(NamedTuple):
    """A message for the user about one or several notes."""

    text: str
    is_warning: bool


def remarks_on(notes: Iterable[Note]) -> Iterator[Remark]:
    """The messages about *notes*: those that are not warnings, and the first warnings per kind."""
    warned: Counter[str] = Counter()
    for note in notes:
        warned[note.kind] += note.is_warning
        if warned[note.kind] <= _MOST_WARNINGS:
            yield Remark(str(note), note.is_warning)
    for kind, count in warned.items():
        if count > _MOST_WARNINGS:
            noun, rest = _WARNED_OF[kind]
            more = counted(count - _MOST_WARNINGS, f"more {noun}")
            yield Remark(f"and {more}{rest}", is_warning=True)


def read_note(row: tuple[int, int, str]) -> Note:
    """A note as the C core gives it: kind, number and text."""
    kind, number, text = _KINDS[row[0]], row[1], row[2]
    if kind == "language":
        return Note(kind, text, (_LANGUAGES.get(number, f"language {number:#x}"),))
    if kind == "function":
        return Note(kind, text, tuple(word for bit, word in _REASONS.items() if number & bit))
    return Note(kind, str(number) if kind == "reference" else text)
