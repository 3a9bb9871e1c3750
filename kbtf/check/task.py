# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Check many modules: on this machine, or packed for other machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbtf.btf.base import Base
from kbtf.check.kernel import kernel_of
from kbtf.check.rules.insmod import judge_insmod, with_insmod
from kbtf.check.rules.load import failed, judge
from kbtf.elf.files import read_module
from kbtf.elf.module import Module
from kbtf.errors import BtfError, KbtfError, MachineError, about, as_kbtf_error
from kbtf.jobs.shipped_bases import (
    NeedBases,
    ShippedBase,
    receive_all,
    require_same_version,
    shipped,
)
from kbtf.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kbtf.check.kernel import Kernel, KernelSet
    from kbtf.check.result import Result
    from kbtf.check.rules.insmod import Insmod


class CheckModules:
    """All kernels against each module: a `kbtf.jobs.task.Task`.

    The kernels are those *wanted*, which are open, else the one that a module was built for.  With
    *built_against*, definitions of types are compared too, always on this machine.
    """

    def __init__(
        self,
        paths: Sequence[str],
        kernels: KernelSet,
        wanted: Sequence[str],
        built_against: Kernel | None,
        on_error: Callable[[], None],
    ) -> None:
        self._paths = paths
        self._kernels = kernels
        self._wanted = wanted
        self._built_against = built_against
        self._on_error = on_error
        """Called while an error is handled, to show its traceback."""
        self._sent: dict[str, SentKernel] = {}
        self._contents: dict[str, Kernel] = {}
        self._unreadable: dict[int, Result] = {}
        self._insmod: dict[int, list[Insmod]] = {}
        """The facts from this machine's files that are needed to judge modules on another."""

    def prepare(self) -> None:
        """Nothing: all kernels that the user named are open."""

    def run(self, chunk: Sequence[int], begin: Callable[[int], None]) -> list[list[Result]]:
        results = []
        for index in chunk:
            begin(index)
            results.append(self._check(self._paths[index]))
        return results

    def failed(self, index: int, error: KbtfError) -> list[Result]:
        path = self._paths[index]
        return [failed(path, about(error, path))]

    def _kernels_for(self, module: Module) -> list[Kernel]:
        wanted = self._wanted or [_own_release(module)]
        return list({k.source: k for name in wanted for k in self._kernels.get(name)}.values())

    def _check(self, path: str) -> list[Result]:
        """One module; one that cannot be read does not stop the others."""
        try:
            module = Module.open_to_read(path)
            found = self._kernels_for(module)
            results = [
                with_insmod(judge(module, kernel), judge_insmod(module, kernel)) for kernel in found
            ]
            if self._built_against is not None:
                results = self._deepen(module, self._built_against, results, found)
            return results
        except (KbtfError, OSError) as error:
            return [self._told(path, error)]
        except MemoryError:
            return [failed(path, MachineError("out of memory", file=path))]

    def _told(self, path: str, error: KbtfError | OSError) -> Result:
        """The result for a module that cannot be read."""
        self._on_error()
        return failed(path, as_kbtf_error(error, path))

    def _deepen(
        self, module: Module, old: Kernel, results: list[Result], found: list[Kernel]
    ) -> list[Result]:
        """Add the findings of comparing definitions in both bases, if the BTF is accepted."""
        from kbtf.check.plain import plain_on
        from kbtf.check.result import BtfFate, Verdict, worst
        from kbtf.check.rules.deep import compare_deep
        from kbtf.findings.deep import DEEP

        deepened = []
        try:
            split = plain_on(module, old.btf)
        except BtfError as error:
            self._on_error()
            wrong = DEEP.finding("other-base", built_against=old.source, why=error.what)
            for result in results:
                verdict = max(result.verdict, Verdict.UNKNOWN, key=lambda verdict: verdict.rank)
                findings = (*result.findings, wrong)
                deepened.append(result._replace(findings=findings, verdict=verdict))
            return deepened
        for result, kernel in zip(results, found, strict=True):
            if split is None or result.btf is not BtfFate.ACCEPTED:
                deepened.append(result)
                continue
            known = {(finding.code, finding.type) for finding in result.findings}
            more = [
                f for f in compare_deep(split, old.btf, kernel.btf) if (f.code, f.type) not in known
            ]
            findings = (*result.findings, *more)
            deepened.append(result._replace(findings=findings, verdict=worst(findings)))
        return deepened

    @property
    def function(self) -> Callable[[Package], object]:
        return judge_package

    def pack(self, chunk: Sequence[int], contents: Sequence[str]) -> Package:
        modules = []
        for index in chunk:
            path = self._paths[index]
            try:
                data = read_module(path)
                module = Module(data, path)
                kernels = self._kernels_for(module)
                self._insmod[index] = [judge_insmod(module, kernel) for kernel in kernels]
            except (KbtfError, OSError) as error:
                self._unreadable[index] = self._told(path, error)
            else:
                modules.append((path, data, tuple(map(self._send, kernels))))
        blobs = {digest: self._contents[digest].btf.to_bytes() for digest in contents}
        return Package(VERSION, tuple(modules), blobs)

    def _send(self, kernel: Kernel) -> SentKernel:
        if kernel.source not in self._sent:
            self._sent[kernel.source] = sent = send(kernel)
            self._contents[sent.base.sha256] = kernel
        return self._sent[kernel.source]

    def unpack(self, chunk: Sequence[int], answer: list[list[Result]]) -> list[list[Result]]:
        answers = iter(answer)
        return [
            [self._unreadable[index]]
            if index in self._unreadable
            else self._completed(index, next(answers))
            for index in chunk
        ]

    def _completed(self, index: int, answers: list[Result]) -> list[Result]:
        if len(answers) != len(self._insmod[index]):
            return answers  # it could not be read
        return [with_insmod(*each) for each in zip(answers, self._insmod[index], strict=True)]


def _own_release(module: Module) -> str:
    if module.release is None:
        raise KbtfError(
            "does not name the kernel it was built for (no vermagic)",
            file=module.path,
            hint="name kernels with --kernel",
        )
    return module.release


class SentKernel(NamedTuple):
    """A `Kernel` without its BTF, which the other machine has or requests."""

    base: ShippedBase
    name: str
    allow_mismatch: bool | None


class Package(NamedTuple):
    """Modules, by path and contents, and the kernels that each is checked against."""

    version: str
    modules: tuple[tuple[str, bytes, tuple[SentKernel, ...]], ...]
    contents: dict[str, bytes]


def send(kernel: Kernel) -> SentKernel:
    """A key that identifies *kernel*."""
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
