# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Structs of kfuncs that the kernel also has: to the verifier, the two are different types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.c_type_name import c_name
from kbtf.btf.deduplicate import deduplicate_with_ids
from kbtf.errors import BtfError
from kbtf.findings.loading import LOADING
from kbtf.ids.own_copies import own_copies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf
    from kbtf.check.kernel import Kernel
    from kbtf.findings.finding import Finding
    from kbtf.ids.btf_ids import BtfIds


def judge_copies(
    ids: BtfIds | None, split: Btf, kernel: Kernel, on_kernel: Btf | None
) -> Iterator[Finding]:
    """A finding for each such struct; *on_kernel* is *split* on the BTF of the kernel."""
    copies = own_copies(split, ids, kernel.btf) if ids is not None else {}
    repeated = _repeated(on_kernel) if copies and on_kernel is not None else set()
    for type_id, func in copies.items():
        yield LOADING.finding(
            "own-copy",
            "repeated" if type_id - split.start_id in repeated else "differs",
            type=c_name(split[type_id]),
            func=func.name,
            kernel=kernel.name,
        )


def _repeated(split: Btf) -> set[int]:
    """The indices of own types that deduplication would replace by the kernel's."""
    if split.base is None:
        return set()
    try:
        made = deduplicate_with_ids(split)
    except BtfError:
        return set()
    return {old.id - split.start_id for old in made.repeated()}
