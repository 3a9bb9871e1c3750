# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What dkms does with the modules of its packages, and did, if it has any."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.findings.build import BUILD
from kbtf.kbuild.dkms import status
from kbtf.kbuild.dkms_builds import has_packages, modules_without_btf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.findings.finding import Finding


def examine_dkms(root: str, release: str | None) -> Iterator[Finding]:
    """Whether dkms below *root* builds with kbtf, and which modules for *release* lack BTF."""
    if not has_packages(root):
        return
    found = status(root)
    if found.problems:
        yield BUILD.finding("dkms", "broken", problems="; ".join(found.problems))
    elif found.enabled:
        yield BUILD.finding("dkms", "enabled", program=found.program)
    else:
        yield BUILD.finding("dkms", "disabled")
    bare = [row for row in modules_without_btf(root) if row.release == release]
    if bare:
        names = ", ".join(os.path.basename(row.module) for row in bare)
        yield BUILD.finding("dkms-btf", names=names)
