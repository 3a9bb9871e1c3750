"""What a check says: a verdict for each module and kernel, and the findings that led to it."""

from __future__ import annotations

from enum import Enum

from kbtf.record import NamedTuple


class Verdict(Enum):
    """The worst that was found, from best to worst."""

    OK = "ok"
    WARNINGS = "warnings"
    """The kernel takes the BTF, but something is probably wrong."""
    UNKNOWN = "unknown"
    """It cannot be told, for instance because the module has no BTF of its own to judge."""
    REJECTED = "rejected"
    """The kernel refuses this BTF, or misreads it."""

    @property
    def rank(self) -> int:
        """Higher is worse."""
        return list(Verdict).index(self)

    @property
    def is_bad(self) -> bool:
        """Something that a user has to look at before shipping."""
        return self.rank >= Verdict.UNKNOWN.rank


class BtfFate(Enum):
    """What happens to the module's BTF when it is loaded."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    IGNORED = "ignored"
    """The kernel takes no module BTF at all."""
    NONE = "none"
    """The module has none."""
    UNKNOWN = "unknown"


class Loading(Enum):
    """What that means for the loading of the module itself."""

    LOADS = "loads"
    LOADS_WITHOUT_BTF = "loads without BTF"
    """CONFIG_MODULE_ALLOW_BTF_MISMATCH is set: one warning in the log, kfuncs are not there."""
    FAILS = "fails"
    """CONFIG_MODULE_ALLOW_BTF_MISMATCH is not set."""
    DEPENDS = "fails, or loads without BTF"
    """It is not known whether CONFIG_MODULE_ALLOW_BTF_MISMATCH is set."""
    DEPENDS_ON_INIT = "fails if its init passes the error on"
    """The kernel refuses to register its kfuncs (-EINVAL), whatever the configuration."""
    UNKNOWN = "unknown"


class Severity(Enum):
    """How much a finding counts."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """One thing that was found, in words a module author understands."""

    severity: Severity
    code: str
    """For scripts, and stable: ``unmapped``, ``embedded-resized``, ``stale``, ..."""
    text: str
    type: str | None = None
    """The type it is about, as in ``struct device_type``."""
    hint: str | None = None
    """What to do about it."""


class Result(NamedTuple):
    """The judgement on one module for one kernel."""

    module: str
    """The module's path."""
    name: str
    kernel: str
    """The kernel's release if it is known, else its file."""
    source: str
    """Where the kernel's BTF was read."""
    verdict: Verdict
    btf: BtfFate
    loading: Loading
    findings: tuple[Finding, ...] = ()
    error: str | None = None
    """Why nothing could be said: bad input; the verdict is then ``unknown``."""
    exit_code: int = 0
    """Of that error."""


def worst(findings: tuple[Finding, ...]) -> Verdict:
    """The verdict that findings add up to, where the BTF was judged at all."""
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return Verdict.REJECTED
    return Verdict.WARNINGS if Severity.WARNING in severities else Verdict.OK
