"""Kbuild's out-of-tree build, the phases on what it linked, and what is handed out of that."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.elf.module import read_file
from kbtf.elf.write import replace_file
from kbtf.errors import KbtfError
from kbtf.kbuild.make import Make, builds_modules, built_modules
from kbtf.kbuild.stamp import drop_outdated, drop_processed, write_stamp
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kbtf.host.config import Config
    from kbtf.host.pipeline import Outcome
    from kbtf.kbuild.make import Words

    Phases = Callable[[list[str]], list[Outcome]]
    """Takes modules through the phases, in place, and says what became of each."""


class Request(NamedTuple):
    """What a build is asked for."""

    words: Words
    arguments: tuple[str, ...] = ()
    """Options of make."""
    work: str | None = None
    """Where to build, if not beside the sources."""
    module: str | None = None
    """The one module that is handed out."""
    output: str | None = None
    symvers: str | None = None
    """Where the folder's Module.symvers is handed out to."""
    raw: bool = False
    """Leave modules as linked."""
    depfile: str | None = None


class Build:
    """One build: make, the phases, and what was asked for beside them."""

    def __init__(
        self, request: Request, config: Config, options: Iterable[str], phases: Phases
    ) -> None:
        self.request = request
        self.folder = os.path.abspath(request.work) if request.work else request.words.folder
        self.make = Make(
            os.path.abspath(config["kdir"]),
            self.folder,
            (*request.arguments, *request.words.variables),
        )
        self._config = config
        self._options = list(options)
        self._phases = phases

    def run(self) -> int:
        """Do it all; the exit status is make's, or that of the module that failed worst."""
        targets = self.request.words.targets or ["modules"]
        if self._config["dry-run"] or self.make.only_says:
            import shlex

            print(shlex.join(self.make.command(targets)))
            return 0
        if self.request.work:
            from kbtf.kbuild.staging import stage

            stage(self.request.words.folder, self.folder)
        last = max((at for at, name in enumerate(targets) if builds_modules(name)), default=None)
        if last is None:
            return self.make.run(targets)
        # modules_install takes modules as they are: whatever follows waits for the phases.
        now, later = targets[: last + 1], targets[last + 1 :]
        code = self._build(now)
        return self.make.run(later) if later and not code else code

    def _build(self, targets: list[str]) -> int:
        linked = built_modules(self.folder)
        bases: list[str] = []
        if self.request.raw:
            drop_processed(self._wanted(linked))
        else:
            bases = drop_outdated(self.folder, linked, self._config, self._options)
        code = self.make.run(targets)
        if code:
            return code
        modules = built_modules(self.folder, targets)
        outcomes = [] if self.request.raw else self._phases(modules)
        if not self.request.raw:
            bases += [outcome.base for outcome in outcomes if outcome.base]
            write_stamp(self.folder, self._config, self._options, bases)
            code = max((outcome.exit_code for outcome in outcomes), default=0)
        if not code:
            self._hand_out(self._wanted(modules), bases)
        return code

    def _wanted(self, modules: list[str]) -> list[str]:
        """The module that was named; its name is compared as modprobe does."""
        if self.request.module is None:
            return modules
        name = _plain(self.request.module)
        return [path for path in modules if _plain(os.path.basename(path)) == name]

    def _hand_out(self, wanted: list[str], bases: list[str]) -> None:
        output, depfile = self.request.output, self.request.depfile
        if output:
            if len(wanted) != 1:
                built = ", ".join(map(os.path.basename, built_modules(self.folder)))
                raise KbtfError(
                    f"{len(wanted) or 'no'} modules {self.request.module} were built there",
                    file=self.folder,
                    hint=f"there are {built}" if built else None,
                )
            replace_file(output, read_file(wanted[0]), like=wanted[0])
        if self.request.symvers:
            symvers = os.path.join(self.folder, "Module.symvers")
            replace_file(self.request.symvers, read_file(symvers))
        if depfile:
            from kbtf.kbuild.cmdfiles import inputs
            from kbtf.kbuild.depfile import write_depfile

            needs = inputs(self.folder, self.make.kdir, wanted)
            if not self.request.raw:
                needs += [*bases, *self._config.files]
            write_depfile(depfile, [output] if output else wanted, dict.fromkeys(needs))


def _plain(name: str) -> str:
    return name.removesuffix(".ko").replace("-", "_")
