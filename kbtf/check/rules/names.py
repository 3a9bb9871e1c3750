# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Kfuncs with the name of a kernel function.

Source: btf_check_kfunc_name() in kernel/bpf/btf.c of 7.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind
from kbtf.findings.loading import LOADING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.check.kernel import Kernel
    from kbtf.findings.finding import Finding
    from kbtf.ids.btf_ids import BtfIds


def taken_names(ids: BtfIds | None, kernel: Kernel) -> Iterator[Finding]:
    """The kfuncs in a module's sets whose name vmlinux has a function of."""
    if ids is None:
        return
    for name in sorted(ids.kfuncs):
        if kernel.btf.find(name, Kind.FUNC) is None:
            continue
        case = "refused" if kernel.rules.unique_kfuncs else "hidden"
        yield LOADING.finding("name-taken", case, type=name, kernel=kernel.name)
