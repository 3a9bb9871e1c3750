# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kfuncs that modules or a kernel offer to BPF programs, by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kbtf.bpf.kfuncs import GroupKind, kfunc_groups, read_kfuncs, tagged_kfuncs
from kbtf.btf.kinds import Kind
from kbtf.btf.split import is_split_btf
from kbtf.elf.format import ELF_MAGIC, ET_REL
from kbtf.elf.image import ElfImage
from kbtf.errors import located
from kbtf.files.formats import MODULE_KINDS, MODULE_SUFFIXES, recognise
from kbtf.files.source import Source
from kbtf.kernel.base import open_base

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from mmap import mmap

    from kbtf.bpf.kfuncs import Group
    from kbtf.btf.base import Base
    from kbtf.btf.btf import Btf, BtfType
    from kbtf.elf.module import Module


class Offer(NamedTuple):
    """A kfunc, as a kernel would register it."""

    name: str
    func: BtfType | None
    """Its FUNC; None if the BTF has none, and then no program can call it."""
    flags: int | None
    """None if only a tag in raw BTF marks it as a kfunc."""
    sets: tuple[str, ...]
    """The sets that contain it, in the order of the file; empty if they are not known."""


class StaleSet(NamedTuple):
    """A resolved set whose ids are not those of the functions that its symbols name."""

    name: str
    missing: tuple[str, ...]
    """Functions that its symbols name but none of its ids refers to."""


class Offers(NamedTuple):
    """All kfuncs of one side of a comparison."""

    source: str
    kfuncs: dict[str, Offer]
    has_sets: bool
    """Whether they are known from ``.BTF_ids``, with flags and sets."""
    stale: tuple[StaleSet, ...] = ()
    """Sets of a kernel whose ids were not resolved for its BTF."""


def kernel_offers(path: str, *, cache: bool = True) -> tuple[Base, Offers]:
    """The kfuncs of a kernel: from the sets of its ``.BTF_ids``, else from the tags in its BTF."""
    base = open_base(path, cache=cache)
    groups = _groups(path, base.btf)
    stale = tuple(_stale_sets(groups))
    kfuncs = _collect(groups)
    if not kfuncs and not stale:
        return base, Offers(path, _of_tags(base.btf), has_sets=False)
    return base, Offers(path, kfuncs, has_sets=True, stale=stale)


def _stale_sets(groups: Iterable[Group]) -> Iterator[StaleSet]:
    for group in groups:
        if group.kind.has_kfuncs and group.is_resolved:
            found = {entry.name for entry in group.entries}
            missing = tuple(slot.name for slot in group.symbols if slot.name not in found)
            if missing:
                yield StaleSet(group.name, missing)


def _of_tags(btf: Btf) -> dict[str, Offer]:
    funcs = tagged_kfuncs(btf)
    return {func.name: Offer(func.name, _callable(func), None, ()) for func in funcs}


def _groups(path: str, btf: Btf) -> list[Group]:
    with Source(path) as source, located(path):
        if source.data[:4] != ELF_MAGIC:
            return []
        return kfunc_groups(ElfImage(source.data), btf)


def module_offers(path: str, modules: Iterable[Module]) -> Offers:
    """The kfuncs of *modules*, which were found at *path*."""
    kfuncs: dict[str, Offer] = {}
    has_sets = True
    for module in modules:
        read = read_kfuncs(module)
        has_sets &= not read.is_raw_btf
        if read.is_raw_btf and read.btf is not None:
            found = _of_tags(read.btf)
        else:
            found = _collect(read.groups)
        for name, offer in found.items():
            kfuncs.setdefault(name, offer)
    return Offers(path, kfuncs, has_sets)


def _collect(groups: Iterable[Group]) -> dict[str, Offer]:
    found: dict[str, Offer] = {}
    groups = list(groups)
    # since 6.9, sets of kfuncs have a flag: sets without it are fmodret sets
    kinds = {group.kind for group in groups if group.kind.has_kfuncs}
    wanted = GroupKind.KFUNCS if GroupKind.KFUNCS in kinds else GroupKind.SET8
    for group in groups:
        if group.kind is not wanted:
            continue
        for entry in group.entries:
            known = found.get(entry.name)
            if known is not None:
                found[entry.name] = known._replace(sets=(*known.sets, group.name))
            else:
                found[entry.name] = Offer(entry.name, entry.func, entry.flags, (group.name,))
    return {name: offer for name, offer in found.items() if name}


def _callable(func: BtfType) -> BtfType | None:
    is_func = func.kind is Kind.FUNC and func.btf[func.size_or_type].kind is Kind.FUNC_PROTO
    return func if is_func else None


def is_kernel(path: str) -> bool:
    """Whether *path* is a file other than a module: a vmlinux, a kernel image or raw BTF."""
    if os.path.isdir(path) or path.endswith(MODULE_SUFFIXES):
        return False
    with Source(path) as source, located(path):
        data: mmap | bytes = source.data
        if recognise(data) in MODULE_KINDS:
            from kbtf.files.compression import unpack

            data = unpack(data)
        if data[:4] != ELF_MAGIC:
            return not is_split_btf(data)
        return ElfImage(data).type != ET_REL
