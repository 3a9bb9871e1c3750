"""What a kernel with some modules offers to BPF programs: functions, variables, kfunc sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.btf.kinds import KFUNC_TAG, Kind
from kbtf.btf.relocate import relocate_with_ids
from kbtf.btf_ids import read_ids
from kbtf.check.judge import judge
from kbtf.check.kernel import Kernel, kernel_of
from kbtf.check.model import BtfFate, Severity
from kbtf.elf.files import Source
from kbtf.elf.image import ElfImage
from kbtf.elf.module import located
from kbtf.errors import UsageError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kbtf.btf.btf import Btf
    from kbtf.btf_ids import BtfIds
    from kbtf.elf.module import Module
    from kbtf.elf.vmlinux import Base

VMLINUX = "vmlinux"


class Sets(NamedTuple):
    """The functions that are in kfunc sets, as far as it is known."""

    names: dict[int, str]
    """The set that has a function, by the function's id on this kernel."""
    is_known: bool
    """Whether a function that is not there is in no set."""
    is_resolved: bool = True


class Provider(NamedTuple):
    """vmlinux or a module, as BPF loaders see it on this kernel."""

    name: str
    btf: Btf
    sets: Sets


class Target(NamedTuple):
    """A kernel and the modules that it loaded, in order."""

    vmlinux: Provider
    modules: tuple[Provider, ...]
    """Those whose BTF this kernel takes."""
    refused: dict[str, str]
    """Why a module's BTF is not there."""


def make_target(base: Base, modules: Iterable[Module]) -> Target:
    """What the kernel whose BTF is *base* has once it loaded *modules*, in that order.

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
    return Target(Provider(VMLINUX, base.btf, _vmlinux_sets(base)), tuple(providers), refused)


def _provider(module: Module, kernel: Kernel) -> Provider | str:
    """The module as this kernel sees it, or why there is nothing to see."""
    result = judge(module, kernel)
    if result.btf is not BtfFate.ACCEPTED:
        errors = [f.text for f in result.findings if f.severity is Severity.ERROR]
        return (errors or [f.text for f in result.findings] or ["its BTF is refused"])[0]
    with located(module.path):
        ids = read_ids(module.image)
        if module.has_btf_base and module.btf is not None:
            relocation = relocate_with_ids(module.btf, kernel.btf)
            return Provider(module.name, relocation.split, _sets(ids, relocation.new_id))
        return Provider(module.name, _plain(module, kernel), _sets(ids, _same))


def _plain(module: Module, kernel: Kernel) -> Btf:
    from kbtf.btf.btf import Btf

    with located(module.path, ".BTF"):
        return Btf.parse(module.image.data(".BTF") or b"", kernel.btf)


def _same(type_id: int) -> int:
    return type_id


def _sets(ids: BtfIds | None, new_id: Callable[[int], int]) -> Sets:
    """The kfunc sets of a module; ids that nobody resolved are in none."""
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
    tags = base.btf.find_all(KFUNC_TAG, Kind.DECL_TAG)
    return Sets({t.size_or_type: "" for t in tags}, bool(tags))


def _vmlinux_ids(path: str | None) -> BtfIds | None:
    if path is None:
        return None
    with Source(path) as source, located(path):
        return read_ids(ElfImage(source.data)) if source.data[:4] == b"\x7fELF" else None
