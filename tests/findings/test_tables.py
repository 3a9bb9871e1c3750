# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Rules and the registry of findings fit together: a rule that rarely fires must not fail then."""

from __future__ import annotations

import ast
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING

import pytest

import kbtf
from kbtf import Severity
from kbtf.findings.boot import BOOT
from kbtf.findings.build import BUILD
from kbtf.findings.deep import DEEP
from kbtf.findings.finding import Finding
from kbtf.findings.kernel import KERNEL
from kbtf.findings.kfuncs import KFUNCS
from kbtf.findings.linking import LINKING
from kbtf.findings.loading import LOADING
from kbtf.findings.table import Row, Table, note, warning

if TYPE_CHECKING:
    from kbtf.findings.table import Text

TABLES = {
    "BOOT": BOOT,
    "BUILD": BUILD,
    "DEEP": DEEP,
    "KERNEL": KERNEL,
    "KFUNCS": KFUNCS,
    "LINKING": LINKING,
    "LOADING": LOADING,
}


def test_a_finding_is_made_of_its_row() -> None:
    table = Table(Row("odd", "", note("{type} is {what}", "mend {type}")))

    found = table.finding("odd", type="struct a", what="{odd}")

    assert found == Finding(Severity.NOTE, "odd", "struct a is {odd}", "struct a", "mend struct a")
    assert found.as_dict()["severity"] == "note"


def test_a_row_may_have_cases() -> None:
    table = Table(Row("odd", "", a=warning("is {what}"), b=note("is not {what}", "{hint}")))

    assert table.finding("odd", "b", what="it", hint="").hint is None
    assert [row.severities for row in table] == [(Severity.WARNING, Severity.NOTE)]


def test_codes_are_unique() -> None:
    with pytest.raises(ValueError, match="odd"):
        Table(Row("odd", "", note("a")), Row("odd", "", note("b")))


def test_what_only_deep_compares_never_fails_a_check() -> None:
    """The kernel does not look at it."""
    assert all(Severity.ERROR not in row.severities for row in DEEP)


def _calls() -> list[tuple[str, ast.Call]]:
    """Where rules make findings: the name of the table, and the call."""
    trees = [ast.parse(path.read_text()) for path in Path(kbtf.__file__).parent.rglob("*.py")]
    return [
        (node.func.value.id, node)
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "finding"
        and isinstance(node.func.value, ast.Name)
    ]


def _words(node: ast.expr) -> list[str]:
    """The words that an argument may be; none if it comes from elsewhere."""
    if isinstance(node, ast.IfExp):
        return _words(node.body) + _words(node.orelse)
    return [str(node.value)] if isinstance(node, ast.Constant) else []


def _fields(text: Text) -> set[str]:
    parts = [part for one in (text.text, text.hint) for part in Formatter().parse(one)]
    return {name for _, name, _, _ in parts if name}


def test_each_rule_gives_what_its_row_says() -> None:
    calls = _calls()
    assert len(calls) > 100
    for name, call in calls:
        rows = {row.code: row for row in TABLES[name]}
        given = {keyword.arg for keyword in call.keywords}
        for code in _words(call.args[0]):
            cases = _words(call.args[1]) if len(call.args) > 1 else [""]
            for case in cases:
                wanted = _fields(rows[code].texts[case])
                assert None in given or wanted | {"type"} == given | {"type"}, (code, case)


def test_no_row_is_without_a_rule() -> None:
    named = {word for _, call in _calls() for word in _words(call.args[0])}
    codes = {row.code for table in TABLES.values() for row in table}
    handed_on = {"stale", "misread", "rule", "unchecked", "member-moved", "enum-changed", "resized"}
    assert codes - named <= handed_on
