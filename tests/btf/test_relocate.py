# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Relocating: the bytes and the refusals of libbpf, on real modules and on small cases."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from btf.relocations import in_both_orders, on_every_case, ours, refusal_of, theirs
from kbtf import Btf, RelocationError, relocate, relocate_with_ids

if TYPE_CHECKING:
    from pathlib import Path

    from btf.relocations import Case


@pytest.fixture(scope="module")
def targets(corpus: Path, corpus_base: Btf) -> list[Btf]:
    others = [corpus / "base" / f"{name}.btf" for name in ("6.12.115", "6.12.117-cloud")]
    return [corpus_base, *(Btf.parse(path.read_bytes()) for path in others)]


def test_every_module_of_the_corpus_is_relocated_or_refused_as_libbpf_does(
    corpus: Path, targets: list[Btf]
) -> None:
    rows = [line.split("\t") for line in (corpus / "golden.tsv").read_text().splitlines()[1:]]
    assert len(rows) == 35
    for name, _, _, _, *goldens in rows:
        path = corpus / "distilled" / name
        base = Btf.parse(path.with_name(name + ".base").read_bytes())
        split = Btf.parse(path.with_name(name + ".split").read_bytes(), base)
        for target, golden in zip(targets, goldens, strict=True):
            outcome = ours(split, target)
            if isinstance(outcome, bytes):
                assert hashlib.sha256(outcome).hexdigest() == golden, name
            else:
                assert outcome == refusal_of(golden), name


def test_every_synthetic_case_is_relocated_or_refused_as_libbpf_does(corpus: Path) -> None:
    rows = (line.split("\t") for line in (corpus / "synth/results.tsv").read_text().splitlines())
    steps = [row for row in rows if row[1].startswith("relocate")]
    assert len(steps) == 120
    for case, step, err, message in steps:
        folder = corpus / "synth" / case
        base = Btf.parse((folder / "dist.base").read_bytes())
        split = Btf.parse((folder / "dist.split").read_bytes(), base)
        which, golden = {
            "relocate-same": ("base.btf", "reloc-same.btf"),
            "relocate-new": ("newbase.btf", "reloc-new.btf"),
        }[step]
        expected = (folder / golden).read_bytes() if err == "0" else refusal_of(message)
        assert ours(split, Btf.parse((folder / which).read_bytes())) == expected, (case, step)


@in_both_orders
@on_every_case
def test_a_distilled_type_is_found_or_named_as_the_culprit(case: Case, byte_order: str) -> None:
    split, target = case.inputs(byte_order)
    if ":" not in case.outcome:
        result = relocate_with_ids(split, target)
        assert " ".join(map(str, result.ids.values())) == case.outcome
        assert list(result.ids) == list(range(1, split.start_id))
        assert result.split.byte_order == byte_order
        return
    with pytest.raises(RelocationError) as raised:
        relocate(split, target)
    error = raised.value
    candidates = " ".join(map(str, error.candidates))
    assert f"{error.reason} {error.type_id}: {candidates}".strip() == case.outcome
    wanted = split[error.type_id]
    assert (error.kind, error.name, error.size) == (wanted.kind.name, wanted.name, wanted.size)


@pytest.mark.integration
@in_both_orders
@on_every_case
def test_libbpf_agrees(case: Case, byte_order: str, libbpf: Path, tmp_path: Path) -> None:
    split, target = case.inputs(byte_order)
    assert ours(split, target) == theirs(libbpf, tmp_path, split, target)
