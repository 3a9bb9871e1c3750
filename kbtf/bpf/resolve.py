# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Resolve the externs of a BPF object on a kernel, offline, as a loader would there.

``libbpf`` is ``bpf_object__load()``, ``light`` the program in a light skeleton (``bpftool gen
skeleton -L``).  Source: tools/lib/bpf/libbpf.c (find_ksym_btf_id and its callers,
bpf_object__relocate_data), tools/lib/bpf/gen_loader.c, kernel/bpf/btf.c (bpf_find_btf_id).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from kbtf.bpf.externs import ksyms
from kbtf.bpf.proto import declaration, difference
from kbtf.btf.kinds import Kind
from kbtf.errors import BtfError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbtf.bpf.externs import Extern
    from kbtf.bpf.kernel import Provider, Target
    from kbtf.bpf.object import BpfObject
    from kbtf.btf.btf import Btf, BtfType

HIGHEST_FD_INDEX = 0x7FFF - 1
"""INT16_MAX: libbpf refuses larger values for an instruction's 16-bit offset."""


class Loader(Enum):
    """Who loads the object."""

    LIBBPF = "libbpf"
    LIGHT = "light"


class Status(Enum):
    """The outcome for an extern."""

    RESOLVED = "resolved"
    MISSING = "missing"
    """Weak, and left in place; the verifier must find it unreachable."""
    FAILED = "failed"
    """The object does not load."""
    TYPELESS = "typeless"
    """An address that only the running kernel knows."""


class Resolution(NamedTuple):
    """The resolution of one extern."""

    number: int
    """Its index among all externs of the object, as libbpf counts them."""
    extern: Extern
    name: str
    """The name that was looked for."""
    status: Status
    found_in: Provider | None = None
    type_id: int = 0
    """Of the function or variable in the BTF of *found_in*; 0 if it was not resolved."""
    fd_index: int = 0
    """libbpf's index into the array of module BTFs, 0 for vmlinux."""
    reason: str = ""
    """Why it was not resolved."""
    difference: str | None = None
    """How *actual* is incompatible with *declared*; light skeletons do not compare them."""
    declared: str = ""
    """In C, as the program has it."""
    actual: str = ""
    """In C, as it is in *found_in*."""
    in_set: str | None = None
    """The kfunc set that contains it; empty if only a tag marks it; None if there is none."""
    is_kfunc: bool | None = None
    """Whether it is in a kfunc set; None if that is unknown, or for a variable."""
    also_in: tuple[str, ...] = ()
    """Other modules that have a function or variable of that name."""


class FdArray:
    """The indices of module BTFs, assigned when a function first needs one."""

    def __init__(self) -> None:
        self._indices: dict[str, int] = {}

    def index(self, module: str) -> int | None:
        """The index of a module; None if none is left."""
        if module not in self._indices:
            if len(self._indices) == HIGHEST_FD_INDEX:
                return None
            self._indices[module] = len(self._indices) + 1
        return self._indices[module]


def resolve(bpf: BpfObject, target: Target, loader: Loader) -> tuple[Resolution, ...]:
    """The resolution of each extern in ``.ksyms``, in the order in which *loader* resolves them."""
    if bpf.btf is None:
        return ()
    resolver = _Resolver(bpf.btf, target, loader)
    return tuple(resolver.resolve(number, extern) for number, extern in ksyms(bpf.externs))


class _Resolver:
    def __init__(self, local: Btf, target: Target, loader: Loader) -> None:
        self._local = local
        self._target = target
        self._loader = loader
        self._fds = FdArray()

    def resolve(self, number: int, extern: Extern) -> Resolution:
        is_light = self._loader is Loader.LIGHT
        name = extern.name if is_light else extern.essential_name
        declared = _declare(self._local, extern.type_id, extern.name)
        outcome = Resolution(number, extern, name, Status.TYPELESS, declared=declared)
        if extern.is_typeless:
            return outcome._replace(reason="it has no type: its address comes from kallsyms")
        found = list(self._find(name, extern.kind))
        if not found:
            status = Status.MISSING if extern.is_weak else Status.FAILED
            return outcome._replace(status=status, reason=self._where_not(extern, name))
        provider, t = found[0]
        outcome = _describe(outcome, provider, t, [other.name for other, _ in found[1:]])
        problem = self._mismatch(extern, provider, t)
        outcome = outcome._replace(difference=problem)
        if problem is not None and not is_light:
            left = extern.is_weak and extern.kind is Kind.FUNC
            status = Status.MISSING if left else Status.FAILED
            return outcome._replace(status=status, reason=problem)
        index = self._fd_index(extern, provider)
        if index is None:
            reason = f"the fd_array index would be above {HIGHEST_FD_INDEX}"
            return outcome._replace(status=Status.FAILED, reason=reason)
        return outcome._replace(status=Status.RESOLVED, type_id=t.id, fd_index=index)

    def _find(self, name: str, kind: Kind) -> Iterator[tuple[Provider, BtfType]]:
        """The first function or variable of that name in lookup order.

        vmlinux, then the modules in load order: of each the first of its own types.
        """
        vmlinux = self._target.vmlinux
        in_base = vmlinux.btf.find(name, kind)
        if in_base is not None:
            yield vmlinux, in_base
        raw = name.encode("utf-8", "surrogateescape")
        for module in self._target.modules:
            own = (module.btf[type_id] for type_id in module.btf.index.find(raw))
            first = next((t for t in own if t.kind is kind), None)
            if first is not None:
                yield module, first

    def _mismatch(self, extern: Extern, provider: Provider, t: BtfType) -> str | None:
        kernel_id = t.size_or_type
        if extern.kind is Kind.VAR:
            kernel_id = provider.btf.skip(kernel_id).id
        found = difference(self._local, extern.type_id, provider.btf, kernel_id)
        return None if found is None else str(found)

    def _fd_index(self, extern: Extern, provider: Provider) -> int | None:
        is_libbpfs = self._loader is Loader.LIBBPF and extern.kind is Kind.FUNC
        if not is_libbpfs or provider is self._target.vmlinux:
            return 0
        return self._fds.index(provider.name)

    def _where_not(self, extern: Extern, name: str) -> str:
        what = "function" if extern.kind is Kind.FUNC else "variable"
        places = [self._target.vmlinux.name, *(module.name for module in self._target.modules)]
        text = f"no {what} {name} in {_listed(places)}"
        if extern.kind is Kind.VAR:
            hint = f"BTF has per-CPU variables only; if it is another, {_typeless(name)}"
            return self._without_type(name) or f"{text}; {hint}"
        if self._loader is Loader.LIGHT and any(self._find(extern.essential_name, extern.kind)):
            return f"{text}; the light skeleton looks for the whole name, flavour included"
        return text

    def _without_type(self, name: str) -> str | None:
        """The hint for a variable that only a symbol table has."""
        for provider in (self._target.vmlinux, *self._target.modules):
            if name in provider.variables():
                what = f"{name} is a variable of {provider.name} without a type in BTF"
                return f"{what}, which has per-CPU variables only; {_typeless(name)}"
        return None


def _typeless(name: str) -> str:
    return (
        f"declare it as 'extern const void {name} __ksym' and read it with "
        "bpf_probe_read_kernel(); the kernel needs CONFIG_KALLSYMS_ALL for its address"
    )


def _describe(outcome: Resolution, provider: Provider, t: BtfType, others: list[str]) -> Resolution:
    actual = _declare(provider.btf, t.size_or_type, t.name)
    outcome = outcome._replace(found_in=provider, actual=actual, also_in=tuple(others))
    if outcome.extern.kind is not Kind.FUNC:
        return outcome
    in_set = provider.sets.names.get(t.id)
    known = True if in_set is not None else False if provider.sets.is_known else None
    return outcome._replace(in_set=in_set, is_kfunc=known)


def _declare(btf: Btf, type_id: int, name: str) -> str:
    try:
        return declaration(btf, type_id, name)
    except (BtfError, IndexError):
        return name  # C cannot express it, or it does not exist


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
