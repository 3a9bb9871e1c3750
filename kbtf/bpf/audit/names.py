# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Kfuncs whose names collide: loaders look functions up by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind
from kbtf.findings.kfuncs import KFUNCS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kbtf.bpf.audit.verifier import Verifier
    from kbtf.btf.btf import Btf, BtfType
    from kbtf.findings.finding import Finding


def audit_names(
    functions: Iterable[BtfType],
    vmlinux: Btf | None,
    others: Mapping[str, Btf],
    verifier: Verifier,
) -> Iterator[Finding]:
    """Kfuncs whose name vmlinux or another module also has a function of.

    libbpf looks for the id in vmlinux first, kfunc or not, then in modules in load order.  The
    kernel looks up the address by name alone; since 7.2, it refuses to register such a kfunc.
    """
    for func in functions:
        if vmlinux is not None and vmlinux.find(func.name, Kind.FUNC) is not None:
            case = "refused" if verifier.unique_names else "hidden"
            yield KFUNCS.finding("name-taken", case, type=func.name)
        for name, btf in others.items():
            if any(one.id >= btf.start_id for one in btf.find_all(func.name, Kind.FUNC)):
                case = "refused" if verifier.unique_names else "order"
                yield KFUNCS.finding("name-shared", case, type=func.name, other=name)
