# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What the audit tells of modules made here, as tests of it compare it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpf.sets import Recipe, vmlinux
from kbtf.bpf.audit.rules import audit
from kbtf.bpf.kfuncs import read_kfuncs

if TYPE_CHECKING:
    from kbtf import BtfIds
    from kbtf.btf.btf import Btf

BASE = vmlinux()
OLD_BASE = vmlinux(relocates=False)

Found = tuple[str, str, str]
"""Severity, rule and symbol of a finding."""


def found(recipe: Recipe, others: dict[str, Btf] | None = None, base: Btf = BASE) -> list[Found]:
    """What is told of a module, but for notes."""
    all_of_it = every(recipe, others, base)
    return [one for one in all_of_it if one[0] != "note"]


def every(
    recipe: Recipe, others: dict[str, Btf] | None = None, base: Btf | None = BASE
) -> list[Found]:
    """The same with notes."""
    findings = audit(read_kfuncs(recipe.module()), base, others)
    for finding in findings:
        assert finding.type is None or finding.type in finding.text or finding.code == "no-set"
    return [(f.severity.value, f.code, f.type or "") for f in findings]


def swapped(words: list[int], ids: BtfIds) -> None:
    first, second, *_ = ids.sets[0].id_words
    words[first], words[second] = words[second], words[first]
