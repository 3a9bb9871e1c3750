"""Checks on other machines: what is sent there and judged there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.check.judge import failed, judge
from kbtf.check.kernel import kernel_of
from kbtf.elf.module import Module
from kbtf.elf.shipped import (
    NeedBases,
    ShippedBase,
    receive_all,
    require_same_version,
    shipped,
)
from kbtf.elf.vmlinux import Base
from kbtf.errors import KbtfError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from kbtf.check.kernel import Kernel
    from kbtf.check.model import Result


class SentKernel(NamedTuple):
    """A `Kernel` without its BTF, which the other machine has or asks for."""

    base: ShippedBase
    name: str
    allow_mismatch: bool | None


class Package(NamedTuple):
    """Modules, by path and contents, and the kernels that each is checked against."""

    version: str
    modules: tuple[tuple[str, bytes, tuple[SentKernel, ...]], ...]
    contents: dict[str, bytes]


def send(kernel: Kernel) -> SentKernel:
    """What tells *kernel* from every other."""
    base = shipped(Base(kernel.btf, kernel.source, None, kernel.release))
    return SentKernel(base, kernel.name, kernel.allow_mismatch)


def judge_package(package: Package) -> list[list[Result]] | NeedBases:
    """The results of each module; runs on another machine."""
    require_same_version(package.version)
    sent = {kernel for _, _, kernels in package.modules for kernel in kernels}
    bases = receive_all((kernel.base for kernel in sent), package.contents)
    if isinstance(bases, NeedBases):
        return bases
    kernels = {kernel: _kernel(kernel, bases[kernel.base]) for kernel in sent}
    return [
        _judge(path, data, [kernels[kernel] for kernel in wanted])
        for path, data, wanted in package.modules
    ]


def _kernel(sent: SentKernel, base: Base) -> Kernel:
    return kernel_of(base)._replace(name=sent.name, allow_mismatch=sent.allow_mismatch)


def _judge(path: str, data: bytes, kernels: list[Kernel]) -> list[Result]:
    try:
        module = Module(data, path)
        return [judge(module, kernel) for kernel in kernels]
    except KbtfError as error:
        return [failed(path, error)]
