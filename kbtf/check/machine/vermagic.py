# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The vermagic of an installed kernel, and what it means for the modules there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.check.result import BtfFate, Loading
from kbtf.check.vermagic import accepts
from kbtf.findings.boot import BOOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbtf.check.machine.facts import Facts


def kernel_vermagic(release: str, modules: Iterable[Facts]) -> str:
    """The vermagic of a kernel, from its own *modules*; its release if it has none."""
    for facts in modules:
        if facts.intree and facts.vermagic and facts.vermagic.split(" ")[0] == release:
            return facts.vermagic
    return release


def held_against(vermagic: str, facts: Facts) -> Facts:
    """The facts about a module on the kernel with this *vermagic*, which may refuse to load it."""
    if facts.vermagic is None:
        return facts
    made_for = facts.vermagic.partition(" ")[0]
    if accepts(vermagic, facts.vermagic, has_versions=facts.has_crcs):
        if made_for == vermagic.partition(" ")[0]:
            return facts
        finding = BOOT.finding("other-release", made_for=made_for)
        row = (finding.severity.value, finding.code, finding.text)
        return facts._replace(findings=(*facts.findings, row))
    finding = BOOT.finding("vermagic", made_for=facts.vermagic.strip(), kernel=vermagic.strip())
    row = (finding.severity.value, finding.code, finding.text)
    return facts._replace(btf=BtfFate.UNKNOWN, loading=Loading.FAILS, findings=(row,))
