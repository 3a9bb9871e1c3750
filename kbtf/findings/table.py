# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Tables of findings: a row for each code, with its texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.findings.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Text(NamedTuple):
    """The text of one case of a finding; ``{fields}`` are replaced by what the rule found."""

    severity: Severity
    text: str
    hint: str = ""


def error(text: str, hint: str = "") -> Text:
    """The kernel refuses it, misreads it, or a build goes wrong."""
    return Text(Severity.ERROR, text, hint)


def warning(text: str, hint: str = "") -> Text:
    """The kernel accepts it, but something is probably wrong."""
    return Text(Severity.WARNING, text, hint)


def note(text: str, hint: str = "") -> Text:
    """Worth knowing."""
    return Text(Severity.NOTE, text, hint)


def ok(text: str) -> Text:
    """Checked, and nothing is wrong."""
    return Text(Severity.OK, text)


class Row:
    """A code: its meaning, and the texts of its cases; a single case has no name."""

    __slots__ = ("code", "meaning", "texts")

    def __init__(self, code: str, meaning: str, *only: Text, **cases: Text) -> None:
        self.code = code
        self.meaning = meaning
        """In Markdown."""
        self.texts: Mapping[str, Text] = cases if cases else dict(zip(("",), only, strict=True))

    @property
    def severities(self) -> tuple[Severity, ...]:
        """The severities it can have: some depend on the kernel."""
        return tuple(dict.fromkeys(text.severity for text in self.texts.values()))


class Table:
    """The findings of one command, by code."""

    def __init__(self, *rows: Row) -> None:
        self._rows: dict[str, Row] = {}
        for row in rows:
            if row.code in self._rows:
                raise ValueError(f"two rows are called {row.code}")
            self._rows[row.code] = row

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def finding(
        self,
        code: str,
        case: str = "",
        /,
        *,
        type: str | None = None,  # noqa: A002 - the name in JSON
        **fields: object,
    ) -> Finding:
        """The finding for a code, or a case of it, about *type*; KeyError if a field is missing."""
        severity, text, hint = self._rows[code].texts[case]
        told = hint.format(type=type, **fields) or None
        return Finding(severity, code, text.format(type=type, **fields), type, told)
