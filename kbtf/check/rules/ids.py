# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What a kernel does with the ids in ``.BTF_ids``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import Kind
from kbtf.findings.loading import LOADING
from kbtf.ids.btf_ids import registers_functions
from kbtf.ids.resolve import ids_mismatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.btf import Btf
    from kbtf.elf.module import Module
    from kbtf.findings.finding import Finding
    from kbtf.ids.btf_ids import BtfIds


def judge_ids(ids: BtfIds | None, module: Module, btf: Btf, base: str) -> Iterator[Finding]:
    """Whether the ids of a module are those of *btf*, whose base is *base*."""
    if ids is None:
        return
    for oddity in ids.oddities:
        yield LOADING.finding("ids-odd", oddity=oddity)
    if not ids.is_resolved:
        registers = registers_functions(module.image, ids)
        yield LOADING.finding("ids-unresolved", "sets" if registers else "lists")
        return
    why = ids_mismatch(ids, btf)
    if why is None:
        for id_set in ids.sets:
            if ids.is_kfunc_set(id_set) and any(not ids.words[at] for at in id_set.id_words):
                yield LOADING.finding("ids-no-func", "unresolved", set=id_set.name)
    elif any(_is_no_func(ids.words[at], btf) for s in ids.sets if s.is_set8 for at in s.id_words):
        yield LOADING.finding("ids-no-func", "mismatch", base=base, why=why)
    else:
        yield LOADING.finding("ids-mismatch", base=base, why=why)


def _is_no_func(type_id: int, btf: Btf) -> bool:
    return type_id >= btf.end_id or btf[type_id].kind is not Kind.FUNC


def plain_lists(ids: BtfIds, module: Module) -> Iterator[Finding]:
    """Lists that the module itself reads, in a module whose BTF is relocated."""
    for name in ids.unrelocated_lists(module.image):
        yield LOADING.finding("ids-list", list=name)
