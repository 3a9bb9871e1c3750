"""The phases on an executor: what is sent there, done there, and written here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kbtf.btf import _native
from kbtf.elf.module import Module, read_file
from kbtf.elf.shipped import (
    NeedBases,
    ShippedBase,
    receive_all,
    require_same_version,
    shipped,
)
from kbtf.elf.write_many import Chunk
from kbtf.errors import KbtfError, MachineError, UsageError, os_error
from kbtf.host.batch import not_written
from kbtf.host.config import Config
from kbtf.host.manager import BUILT_IN, Manager, make_manager
from kbtf.host.pipeline import PHASES, Passed, failed, find_base, pass_through, write_out
from kbtf.host.remote import about, run_on
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from kbtf.elf.vmlinux import Base
    from kbtf.host.batch import RunModules
    from kbtf.host.pipeline import Outcome
    from kbtf.host.workers import Watch

_NO_AUTOLOAD = "KBTF_DISABLE_PLUGIN_AUTOLOAD"
_DONE_ELSEWHERE = {*PHASES, "kbtf_finish"}


class Sent(NamedTuple):
    """A module for another machine."""

    path: str
    output: str
    data: bytes
    base: ShippedBase | KbtfError
    """Or why there is none, should a pass ask for it."""
    warnings: tuple[str, ...]


class Package(NamedTuple):
    """A chunk of modules, and how they are to be treated."""

    version: str
    plugins: tuple[str, ...]
    options: dict[str, Any]
    modules: tuple[Sent, ...]
    contents: dict[str, bytes]


def process(package: Package) -> list[Passed | Outcome] | NeedBases:
    """Take the modules of *package* through the phases; runs on another machine.

    The answer depends on nothing but *package*, the plugins that it names and the programs that
    they run.  An Outcome is that of a module that failed.
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
            known = error if isinstance(error, KbtfError) else os_error(error, sent.path)
            answers.append(failed(sent.path, sent.output, known))
    return answers


_managers: dict[tuple[str, ...], Manager] = {}


def _set_up(package: Package) -> tuple[Manager, Config]:
    config = Config(package.options)
    if package.plugins not in _managers:
        # only what the other machine has: one more plugin here would change the result
        kept = os.environ.get(_NO_AUTOLOAD)
        os.environ[_NO_AUTOLOAD] = "1"
        try:
            _managers[package.plugins] = make_manager(package.plugins)
        finally:
            os.environ[_NO_AUTOLOAD] = kept or ""
    manager = _managers[package.plugins]
    manager.call("kbtf_configure", config=config)
    return manager, config


def _process(sent: Sent, base: Base | KbtfError | None, manager: Manager, config: Config) -> Passed:
    def find(module: Module) -> Base:
        if base is None or isinstance(base, KbtfError):
            raise base or MachineError("no base was sent")
        module.warnings.extend(sent.warnings)
        return base

    passed = pass_through(sent.data, sent.path, sent.output, manager, config, find)
    # pieces of what was sent do not travel
    return (
        passed if isinstance(passed.data, bytes) else passed._replace(data=passed.data.to_bytes())
    )


class RemoteRun:
    """`kbtf.host.remote.RemoteTask` for a run."""

    def __init__(self, task: RunModules) -> None:
        if task.config.get("sign"):
            raise UsageError(
                "a key does not travel to other machines", hint="sign in a second run, here"
            )
        self._task = task
        self._plugins = plugins_elsewhere(task.manager)
        self._shipped: dict[int, ShippedBase] = {}
        self._contents: dict[str, Base] = {}
        self._unreadable: dict[int, KbtfError] = {}

    @property
    def function(self) -> Callable[[Package], object]:
        return process

    def pack(self, chunk: Sequence[int], contents: Sequence[str]) -> Package:
        modules = [sent for index in chunk if (sent := self._read(index)) is not None]
        return Package(
            _native.VERSION,
            self._plugins,
            self._task.config.as_dict(),
            tuple(modules),
            {digest: self._contents[digest].btf.to_bytes() for digest in contents},
        )

    def _read(self, index: int) -> Sent | None:
        path, output = self._task.pairs[index]
        try:
            data = read_file(path)
            module = Module(data, path)
        except KbtfError as error:
            self._unreadable[index] = error
            return None
        base: ShippedBase | KbtfError
        try:
            base = self._ship(find_base(module, *self._finders()))
        except KbtfError as error:
            base = error
        return Sent(path, output, data, base, tuple(module.warnings))

    def _finders(self) -> tuple[Any, Any, Any]:
        return self._task.manager, self._task.config, self._task.bases

    def _ship(self, base: Base) -> ShippedBase:
        if id(base.btf) not in self._shipped:
            ref = shipped(base)
            self._shipped[id(base.btf)] = ref
            self._contents[ref.sha256] = base
        return self._shipped[id(base.btf)]

    def unpack(self, chunk: Sequence[int], answer: list[Passed | Outcome]) -> list[Outcome]:
        answers = iter(answer)
        with Chunk() as files:
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
            return write_out(answer, self._task.config, files.write)
        except KbtfError as error:
            return failed(outcome.module, outcome.output, error)

    def failed(self, index: int, error: KbtfError) -> Outcome:
        path, output = self._task.pairs[index]
        return failed(path, output, about(error, path))


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


def run_remotely(
    task: RunModules, sizes: Sequence[int], executor: Executor, watch: Watch | None
) -> Iterator[Outcome]:
    """What becomes of each module, in order."""
    yield from run_on(executor, RemoteRun(task), sizes, watch)
