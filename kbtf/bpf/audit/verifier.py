# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""How kernels differ in their treatment of kfuncs, judged by a kernel's BTF or release."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.bpf.audit.types import pointee
from kbtf.btf.kinds import Kind
from kbtf.btf.rules import numbers, rules_of, rules_of_distilled, version_shown

if TYPE_CHECKING:
    from kbtf.btf.btf import Btf

DYNPTR, INNER_DYNPTR = "bpf_dynptr", "bpf_dynptr_kern"
_IN_REGISTERS, _ON_STACK_TOO = 5, 12
"""MAX_BPF_FUNC_REG_ARGS, MAX_BPF_FUNC_ARGS."""
_STACK_ARGS = (7, 2)
_SIGNS = {"bpf_jit_supports_arena_args": (7, 3), "bpf_jit_supports_stack_args": _STACK_ARGS}
"""Functions that kernels have since a release."""


class Verifier(NamedTuple):
    """The verifier of the kernel that a module is for."""

    version: tuple[int, ...] = ()
    """Empty where it is not known."""
    most_args: int = _IN_REGISTERS
    """How many arguments a kfunc can take."""
    dynptr: str = DYNPTR
    """The struct that a dynptr argument points to."""
    unique_names: bool = False
    """It refuses to register a kfunc whose name another function has: btf_check_kfunc_name()."""

    def knows(self, since: str | None, until: str | None = None) -> bool:
        """Whether it has a feature that one release added and another removed."""
        if not self.version:
            return True
        return (since is None or self.version >= numbers(since)) and not self.is_past(until)

    def is_past(self, until: str | None) -> bool:
        """Whether a feature is known to have been removed."""
        return bool(self.version) and until is not None and self.version >= numbers(until)

    @property
    def goes_by_types(self) -> bool:
        """It judges arguments by the types of parameters alone: get_kfunc_arg_type()."""
        return self.is_past("7.3")


def verifier_of(vmlinux: Btf | None, release: str | None) -> Verifier:
    """The verifier of the kernel with this BTF and release, either of which may be unknown."""
    version = numbers(release) if release else ()
    if vmlinux is None:
        rules = rules_of_distilled(release)
        most = _ON_STACK_TOO if version >= _STACK_ARGS else _IN_REGISTERS
        return Verifier(version, most, unique_names=rules.unique_kfuncs)
    shown = [since for name, since in _SIGNS.items() if vmlinux.find(name, Kind.FUNC)]
    version = max([version or numbers(version_shown(vmlinux)), *shown])
    # architectures that pass no arguments on the stack lack this function
    most = _ON_STACK_TOO if _STACK_ARGS in shown else _IN_REGISTERS
    unique = rules_of(vmlinux, release).unique_kfuncs
    return Verifier(version, most, _dynptr(vmlinux), unique)


def _dynptr(vmlinux: Btf) -> str:
    """The types that the kernel's own kfuncs take."""
    func = vmlinux.find("bpf_dynptr_size", Kind.FUNC)
    params = vmlinux[func.size_or_type].params if func is not None else ()
    target = pointee(vmlinux, params[0].type) if params else None
    return INNER_DYNPTR if target is not None and target.name == INNER_DYNPTR else DYNPTR
