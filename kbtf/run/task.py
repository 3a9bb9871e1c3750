# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Run the phases on many modules: here, or packed for other machines and written here."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from kbtf.elf.files import read_module
from kbtf.elf.module import Module
from kbtf.errors import KbtfError, MachineError, UsageError, about, as_kbtf_error
from kbtf.files.replace_many import Chunk
from kbtf.hooks.manager import BUILT_IN, Manager, make_manager
from kbtf.hooks.options import Config
from kbtf.jobs.shipped_bases import (
    NeedBases,
    ShippedBase,
    receive_all,
    require_same_version,
    shipped,
)
from kbtf.kernel.index_cache import load_index
from kbtf.run.base_finder import find_base
from kbtf.run.outcome import failed, not_written
from kbtf.run.phases import PHASES
from kbtf.run.pipeline import Passed, pass_through, run_one, write_out
from kbtf.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kbtf.btf.base import Base
    from kbtf.run.base_finder import BaseFinder
    from kbtf.run.outcome import Outcome

_DONE_ELSEWHERE = {phase.hook for phase in PHASES if phase.elsewhere}


class RunModules:
    """The phases on many modules: a `kbtf.jobs.task.Task`."""

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        manager: Manager,
        config: Config,
        bases: BaseFinder,
        on_error: Callable[[], None] | None,
    ) -> None:
        self.pairs = pairs
        self.config = config
        self._manager = manager
        self._bases = bases
        self._on_error = on_error
        self._shipped: dict[int, ShippedBase] = {}
        self._contents: dict[str, Base] = {}
        self._unreadable: dict[int, KbtfError] = {}

    def prepare(self) -> None:
        """Open and index the base of the first module that has one."""
        for path, _ in self.pairs[:8]:
            try:
                base = self._find_base(Module.open(path)).btf
                load_index(base, cache=not self.config["no-cache"])
            except (KbtfError, OSError):
                continue  # its own worker will report that
            return

    def _find_base(self, module: Module) -> Base:
        return find_base(module, self._manager, self.config, self._bases)

    def run(self, chunk: Sequence[int], begin: Callable[[int], None]) -> list[Outcome]:
        with closing(Chunk()) as files:
            outcomes = []
            for index in chunk:
                begin(index)
                path, output = self.pairs[index]
                outcome = run_one(
                    path,
                    output,
                    self._manager,
                    self.config,
                    self._bases,
                    self._on_error,
                    files.write,
                )
                outcomes.append(outcome)
            begin(-1)
            return not_written(outcomes, files.commit())

    @property
    def function(self) -> Callable[[Package], object]:
        return process

    def pack(self, chunk: Sequence[int], contents: Sequence[str]) -> Package:
        if self.config.signs:
            raise UsageError(
                "keys are not sent to other machines", hint="sign in a second run on this machine"
            )
        modules = [sent for index in chunk if (sent := self._read(index)) is not None]
        return Package(
            VERSION,
            plugins_elsewhere(self._manager),
            self.config.as_dict(),
            tuple(modules),
            {digest: self._contents[digest].btf.to_bytes() for digest in contents},
        )

    def _read(self, index: int) -> Sent | None:
        path, output = self.pairs[index]
        try:
            data = read_module(path)
            module = Module(data, path)
        except KbtfError as error:
            self._unreadable[index] = error
            return None
        base: ShippedBase | KbtfError
        try:
            base = self._ship(self._find_base(module))
        except KbtfError as error:
            base = error
        return Sent(path, output, data, base, tuple(module.notes), tuple(module.warnings))

    def _ship(self, base: Base) -> ShippedBase:
        if id(base.btf) not in self._shipped:
            ref = shipped(base)
            self._shipped[id(base.btf)] = ref
            self._contents[ref.sha256] = base
        return self._shipped[id(base.btf)]

    def unpack(self, chunk: Sequence[int], answer: list[Passed | Outcome]) -> list[Outcome]:
        answers = iter(answer)
        with closing(Chunk()) as files:
            outcomes = [
                self.failed(index, self._unreadable[index])
                if index in self._unreadable
                else self._write(next(answers), files)
                for index in chunk
            ]
            return not_written(outcomes, files.commit())

    def _write(self, answer: Passed | Outcome, files: Chunk) -> Outcome:
        if not isinstance(answer, Passed):
            return answer
        outcome = answer.outcome
        try:
            return write_out(answer, self.config, files.write)
        except KbtfError as error:
            return failed(outcome.module, outcome.output, error)

    def failed(self, index: int, error: KbtfError) -> Outcome:
        path, output = self.pairs[index]
        return failed(path, output, about(error, path))


class Sent(NamedTuple):
    """A module for another machine."""

    path: str
    output: str
    data: bytes
    base: ShippedBase | KbtfError
    """Or why there is none, in case a pass needs it."""
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


class Package(NamedTuple):
    """A chunk of modules, and the settings for them."""

    version: str
    plugins: tuple[str, ...]
    options: dict[str, Any]
    modules: tuple[Sent, ...]
    contents: dict[str, bytes]


def process(package: Package) -> list[Passed | Outcome] | NeedBases:
    """Run the phases on the modules of *package*; called on another machine.

    The answer depends only on *package*, the plugins that it names and the programs that they run.
    An Outcome is that of a failed module.
    """
    require_same_version(package.version)
    wanted = (sent.base for sent in package.modules if isinstance(sent.base, ShippedBase))
    bases = receive_all(wanted, package.contents)
    if isinstance(bases, NeedBases):
        return bases
    manager, config = _set_up(package)
    answers: list[Passed | Outcome] = []
    for sent in package.modules:
        base = sent.base if isinstance(sent.base, KbtfError) else bases[sent.base]
        try:
            answers.append(_process(sent, base, manager, config))
        except (KbtfError, OSError) as error:
            answers.append(failed(sent.path, sent.output, as_kbtf_error(error, sent.path)))
    return answers


_managers: dict[tuple[str, ...], Manager] = {}


def _set_up(package: Package) -> tuple[Manager, Config]:
    config = Config(package.options)
    if package.plugins not in _managers:
        # only the sender's plugins: an additional plugin here would change the result
        _managers[package.plugins] = make_manager(package.plugins, autoload=False)
    manager = _managers[package.plugins]
    manager.call("kbtf_configure", config=config)
    return manager, config


def _process(sent: Sent, base: Base | KbtfError | None, manager: Manager, config: Config) -> Passed:
    def find(module: Module) -> Base:
        if base is None or isinstance(base, KbtfError):
            raise base or MachineError("no base was sent")
        module.notes.extend(sent.notes)
        module.warnings.extend(sent.warnings)
        return base

    module = Module(sent.data, sent.path, find_base=find)
    passed = pass_through(module, sent.data, sent.output, manager, config)
    # views of the received data cannot be sent
    return (
        passed if isinstance(passed.data, bytes) else passed._replace(data=passed.data.to_bytes())
    )


def plugins_elsewhere(manager: Manager) -> tuple[str, ...]:
    """The plugins that other machines need, as `make_manager` takes them; a file by its path."""
    names = {plugin.name for plugin in manager.plugins}
    left_out = [f"no:{name}" for name in BUILT_IN if name not in names]
    needed = [
        os.path.abspath(plugin.origin) if os.path.isfile(plugin.origin) else plugin.name
        for plugin in manager.plugins
        if plugin.origin != "built-in" and _DONE_ELSEWHERE & set(manager.hooks_of(plugin))
    ]
    return (*left_out, *needed)
