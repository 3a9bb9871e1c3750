"""Checking many modules: here, on several processes, or on an executor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.check.judge import failed, judge
from kbtf.elf.module import Module, read_file
from kbtf.errors import KbtfError, MachineError, os_error

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from kbtf.check.kernel import Kernel, KernelSet
    from kbtf.check.model import Result
    from kbtf.check.remote import SentKernel


class CheckModules:
    """All kernels against each module: `kbtf.host.workers.Task`."""

    def __init__(self, paths: list[str], args: argparse.Namespace, kernels: KernelSet) -> None:
        self.paths = paths
        self._args = args
        self._kernels = kernels

    def run(self, chunk: Sequence[int], begin: Callable[[int], None]) -> list[list[Result]]:
        results = []
        for index in chunk:
            begin(index)
            results.append(self._check(self.paths[index]))
        return results

    def lost(self, index: int, why: str) -> list[Result]:
        path = self.paths[index]
        return [failed(path, MachineError(why, file=path))]

    def kernels_for(self, module: Module) -> list[Kernel]:
        """Those that were named, else the one that *module* was built for."""
        wanted = self._args.kernels or [_own_release(module)]
        return list({k.source: k for name in wanted for k in self._kernels.get(name)}.values())

    def _check(self, path: str) -> list[Result]:
        """One module; one that cannot be read does not stop the others."""
        try:
            module = Module.open(path)
            found = self.kernels_for(module)
            results = [judge(module, kernel) for kernel in found]
            if self._args.deep:
                results = self._deepen(module, results, found)
            return results
        except (KbtfError, OSError) as error:
            return [self.told(path, error)]
        except MemoryError:
            return [failed(path, MachineError("out of memory", file=path))]

    def told(self, path: str, error: KbtfError | OSError) -> Result:
        """The result for a module that cannot be read."""
        if self._args.debug:
            from kbtf.cli import print_traceback

            print_traceback()
        return failed(path, error if isinstance(error, KbtfError) else os_error(error, path))

    def _deepen(self, module: Module, results: list[Result], found: list[Kernel]) -> list[Result]:
        """Add what comparing the definitions in both bases finds, where the BTF is taken."""
        from kbtf.check.deep import compare_deep
        from kbtf.check.model import BtfFate, worst
        from kbtf.check.plain import plain_on

        (old,) = self._kernels.get(self._args.built_against)
        split = plain_on(module, old.btf)
        deepened = []
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


def _own_release(module: Module) -> str:
    if module.release is None:
        raise KbtfError(
            "does not say which kernel it was built for (no vermagic)",
            file=module.path,
            hint="name kernels with --kernel",
        )
    return module.release


class RemoteCheck:
    """The same on an executor: `kbtf.host.remote.RemoteTask`."""

    def __init__(self, task: CheckModules) -> None:
        self._task = task
        self._sent: dict[str, SentKernel] = {}
        self._contents: dict[str, Kernel] = {}
        self._unreadable: dict[int, Result] = {}

    @property
    def function(self) -> Callable[[Any], object]:
        from kbtf.check.remote import judge_package

        return judge_package

    def pack(self, chunk: Sequence[int], contents: Sequence[str]) -> object:
        from kbtf.btf import _native
        from kbtf.check.remote import Package

        modules = []
        for index in chunk:
            path = self._task.paths[index]
            try:
                data = read_file(path)
                kernels = self._task.kernels_for(Module(data, path))
            except (KbtfError, OSError) as error:
                self._unreadable[index] = self._task.told(path, error)
            else:
                modules.append((path, data, tuple(map(self._send, kernels))))
        blobs = {digest: self._contents[digest].btf.to_bytes() for digest in contents}
        return Package(_native.VERSION, tuple(modules), blobs)

    def _send(self, kernel: Kernel) -> SentKernel:
        from kbtf.check.remote import send

        if kernel.source not in self._sent:
            self._sent[kernel.source] = sent = send(kernel)
            self._contents[sent.base.sha256] = kernel
        return self._sent[kernel.source]

    def unpack(self, chunk: Sequence[int], answer: list[list[Result]]) -> list[list[Result]]:
        answers = iter(answer)
        return [
            [self._unreadable[index]] if index in self._unreadable else next(answers)
            for index in chunk
        ]

    def failed(self, index: int, error: KbtfError) -> list[Result]:
        from kbtf.host.remote import about

        path = self._task.paths[index]
        return [failed(path, about(error, path))]
