# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The modules that the running kernel loaded without their BTF, and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kbtf.check.machine.boot import module_name
from kbtf.findings.finding import Severity

if TYPE_CHECKING:
    from kbtf.check.machine.boot import Boot


class Loaded(NamedTuple):
    """A loaded module whose BTF the running kernel does not have."""

    module: str
    reason: str


def without_btf(boot: Boot | None, root: str = "/") -> list[Loaded] | None:
    """The modules that lost their BTF on the running kernel, whose forecast is *boot*, by name.

    None if it shows no BTF of modules at all (CONFIG_DEBUG_INFO_BTF_MODULES is not set).
    """
    shown = os.path.join(root, "sys/kernel/btf")
    try:
        with_btf = set(os.listdir(shown))
        modules = os.listdir(os.path.join(root, "sys/module"))
    except OSError:
        return None
    if "vmlinux" not in with_btf:
        return None
    lost = sorted(name for name in modules if name not in with_btf and _is_loaded(root, name))
    return [Loaded(name, _reason(name, boot)) for name in lost]


def _reason(name: str, boot: Boot | None) -> str:
    """Why the BTF of a loaded module is missing, as far as its file shows."""
    if boot is None or boot.error is not None:
        return "the kernel's own BTF was not found"
    if name in boot.without_btf:
        return "the module has none"
    for problem in boot.problems:
        if problem.severity is Severity.ERROR and module_name(problem.module) == name:
            return problem.text
    return "its file is accepted: another one was loaded, or it was replaced since"


def _is_loaded(root: str, name: str) -> bool:
    """Whether it is a module, not a built-in part of the kernel with parameters."""
    return os.path.exists(os.path.join(root, "sys/module", name, "initstate"))
