# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The result of a check: a verdict for each module and kernel, and the findings behind it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from kbtf.findings.finding import Finding, Severity


class Verdict(Enum):
    """The verdicts, from best to worst."""

    OK = "ok"
    WARNINGS = "warnings"
    """The kernel accepts the BTF, but something is probably wrong."""
    UNKNOWN = "unknown"
    """There is no verdict, for instance because the module has no BTF of its own to judge."""
    REJECTED = "rejected"
    """The kernel refuses this BTF, or misreads it."""

    @property
    def rank(self) -> int:
        """Higher is worse."""
        return list(Verdict).index(self)

    @property
    def is_bad(self) -> bool:
        """Whether a user has to look at it before shipping."""
        return self.rank >= Verdict.UNKNOWN.rank


class BtfFate(Enum):
    """What happens to the module's BTF when it is loaded."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    IGNORED = "ignored"
    """The kernel accepts no module BTF at all."""
    NONE = "none"
    """The module has none."""
    UNKNOWN = "unknown"


class Loading(Enum):
    """The consequence for loading the module itself."""

    LOADS = "loads"
    LOADS_WITHOUT_BTF = "loads without BTF"
    """CONFIG_MODULE_ALLOW_BTF_MISMATCH is set: one warning in the log, and no kfuncs."""
    FAILS = "fails"
    """CONFIG_MODULE_ALLOW_BTF_MISMATCH is not set; or vermagic or symbols do not fit."""
    DEPENDS = "fails, or loads without BTF"
    """It is not known whether CONFIG_MODULE_ALLOW_BTF_MISMATCH is set."""
    DEPENDS_ON_INIT = "fails if its init passes the error on"
    """The kernel refuses to register its kfuncs (-EINVAL), whatever the configuration."""
    DEPENDS_ON_SYMBOLS = "loads if the kernel has its symbols in the same versions"
    """It was built for another release, and what this one exports is not known."""
    UNKNOWN = "unknown"


class Result(NamedTuple):
    """The result for one module on one kernel."""

    module: str
    """The module's path."""
    name: str
    kernel: str
    """The kernel's release if known, else its file."""
    source: str
    """The file that the kernel's BTF was read from."""
    verdict: Verdict
    btf: BtfFate
    loading: Loading
    findings: tuple[Finding, ...] = ()
    error: str | None = None
    """Why there is no verdict: bad input; it is then ``unknown``."""
    exit_code: int = 0
    """The exit code of that error."""


def worst(findings: tuple[Finding, ...]) -> Verdict:
    """The verdict that follows from findings, if the BTF was judged at all."""
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return Verdict.REJECTED
    return Verdict.WARNINGS if Severity.WARNING in severities else Verdict.OK
