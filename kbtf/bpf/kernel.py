# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The functions, variables and kfunc sets that a kernel with modules offers to BPF programs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.kinds import KFUNC_TAG, Kind
from kbtf.btf.relocate import relocate_with_ids
from kbtf.check.kernel import Kernel, kernel_of
from kbtf.check.result import BtfFate
from kbtf.check.rules.load import judge
from kbtf.elf.format import ELF_MAGIC
from kbtf.elf.image import ElfImage
from kbtf.errors import UsageError, located
from kbtf.files.source import Source
from kbtf.findings.finding import Severity
from kbtf.ids.btf_ids import read_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kbtf.btf.base import Base
    from kbtf.btf.btf import Btf
    from kbtf.elf.module import Module
    from kbtf.ids.btf_ids import BtfIds

VMLINUX = "vmlinux"
_STT_OBJECT = 1


class Sets(NamedTuple):
    """The functions that are known to be in kfunc sets."""

    names: dict[int, str]
    """The set that has a function, by the function's id on this kernel."""
    is_known: bool
    """Whether the list is complete: a function that is not listed is in no set."""
    is_resolved: bool = True


class Provider(NamedTuple):
    """vmlinux or a module, as BPF loaders see it on this kernel."""

    name: str
    btf: Btf
    sets: Sets
    variables: Callable[[], frozenset[str]]
    """The symbols of its symbol table, with or without a type in BTF; read on demand."""


class Target(NamedTuple):
    """A kernel and its loaded modules, in load order."""

    vmlinux: Provider
    modules: tuple[Provider, ...]
    """Those whose BTF this kernel accepts."""
    refused: dict[str, str]
    """Why a module's BTF is missing."""


def make_target(base: Base, modules: Iterable[Module]) -> Target:
    """The kernel whose BTF is *base*, with *modules* loaded in that order.

    UsageError if two modules have one name; KbtfError if one cannot be read.
    """
    kernel = kernel_of(base)
    providers: list[Provider] = []
    refused: dict[str, str] = {}
    for module in modules:
        if module.name in refused or any(p.name == module.name for p in providers):
            raise UsageError(f"there are two modules {module.name}", file=module.path)
        found = _provider(module, kernel)
        if isinstance(found, str):
            refused[module.name] = found
        else:
            providers.append(found)
    vmlinux = Provider(VMLINUX, base.btf, _vmlinux_sets(base), partial(_variables_in, base.path))
    return Target(vmlinux, tuple(providers), refused)


def _provider(module: Module, kernel: Kernel) -> Provider | str:
    """The module as this kernel sees it, or why its BTF is missing."""
    result = judge(module, kernel)
    if result.btf is not BtfFate.ACCEPTED:
        errors = [f.text for f in result.findings if f.severity is Severity.ERROR]
        return (errors or [f.text for f in result.findings] or ["its BTF is refused"])[0]
    if module.is_raw_btf:
        btf = _plain(module, kernel)
        return Provider(module.name, btf, _tagged(btf), frozenset)
    variables = partial(_variables, module.image)
    with located(module.path):
        ids = read_ids(module.image)
        if module.has_btf_base and module.btf is not None:
            relocation = relocate_with_ids(module.btf, kernel.btf)
            sets = _sets(ids, relocation.new_id)
            return Provider(module.name, relocation.split, sets, variables)
        return Provider(module.name, _plain(module, kernel), _sets(ids, _same), variables)


def _plain(module: Module, kernel: Kernel) -> Btf:
    from kbtf.btf.btf import Btf

    with located(module.path, ".BTF"):
        return Btf.parse(module.image.data(".BTF") or b"", kernel.btf)


def _variables(image: ElfImage) -> frozenset[str]:
    return frozenset(s.name for s in image.symbols() if s.shndx and s.info & 15 == _STT_OBJECT)


def _variables_in(path: str | None) -> frozenset[str]:
    """The symbols of a vmlinux; none if it is not an ELF file, or has no symbols."""
    if path is None:
        return frozenset()
    with Source(path) as source, located(path):
        is_elf = source.data[:4] == ELF_MAGIC
        return _variables(ElfImage(source.data)) if is_elf else frozenset()


def _same(type_id: int) -> int:
    return type_id


def _sets(ids: BtfIds | None, new_id: Callable[[int], int]) -> Sets:
    """The kfunc sets of a module; unresolved ids are in none."""
    if ids is None:
        return Sets({}, True)
    names: dict[int, str] = {}
    for id_set in ids.sets:
        if ids.is_kfunc_set(id_set):
            for at in id_set.id_words:
                if ids.words[at]:
                    names.setdefault(new_id(ids.words[at]), id_set.name)
    return Sets(names, True, ids.is_resolved)


def _vmlinux_sets(base: Base) -> Sets:
    """From ``.BTF_ids`` if the file has it, else from the tags that pahole 1.26 and newer add."""
    ids = _vmlinux_ids(base.path)
    if ids is not None and ids.is_resolved:
        return _sets(ids, _same)
    return _tagged(base.btf)


def _tagged(btf: Btf) -> Sets:
    """The kfuncs by their tags; either all kfuncs of a module or vmlinux have one, or none."""
    tags = [t for t in btf.find_all(KFUNC_TAG, Kind.DECL_TAG) if t.id >= btf.start_id]
    return Sets({t.size_or_type: "" for t in tags}, bool(tags))


def _vmlinux_ids(path: str | None) -> BtfIds | None:
    if path is None:
        return None
    with Source(path) as source, located(path):
        return read_ids(ElfImage(source.data)) if source.data[:4] == ELF_MAGIC else None
