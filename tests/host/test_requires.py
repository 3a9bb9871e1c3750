"""Requirements on kbtf mean what they mean to pip, whose rules are those of packaging."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from kbtf.host.requires import meets

NUMBERS = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(
    lambda numbers: ".".join(map(str, numbers))
)
PLAIN = st.tuples(st.sampled_from(["==", "!=", "<=", ">=", "<", ">"]), NUMBERS).map("".join)
SERIES = st.tuples(st.sampled_from(["==", "!="]), NUMBERS).map(lambda pair: "".join(pair) + ".*")
COMPATIBLE = st.tuples(NUMBERS, st.integers(0, 3)).map(lambda pair: f"~={pair[0]}.{pair[1]}")
CLAUSES = st.lists(PLAIN | SERIES | COMPATIBLE, min_size=1, max_size=3).map(",".join)


@given(version=NUMBERS, wanted=CLAUSES)
def test_clauses_compare_as_packaging_does(version: str, wanted: str) -> None:
    assert meets(version, wanted) == SpecifierSet(wanted).contains(version)


@pytest.mark.parametrize("wanted", ["", "===0.1.0", "@ file:///kbtf", ">=1.0rc1", "nonsense"])
def test_what_is_not_understood_is_not_judged(wanted: str) -> None:
    assert meets("0.1.0", wanted)
