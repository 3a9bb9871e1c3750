# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Kbuild's out-of-tree build with kbtf in its BTF step, and the files it delivers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kbtf.elf.files import read_file
from kbtf.errors import KbtfError
from kbtf.files.paths import is_below, require_distinct
from kbtf.files.replace import replace_and_warn
from kbtf.kbuild.make import (
    NO_BTF,
    Make,
    builds_modules,
    built_modules,
    linked_modules,
    output_directory,
    require_known,
    single_modules,
    variable,
)
from kbtf.kbuild.sources import (
    nothing_built,
    require_description,
    require_one_word,
    require_writable,
)
from kbtf.kbuild.stamp import drop_outdated, drop_processed, drop_stamp, write_stamp
from kbtf.kbuild.step import Steps
from kbtf.kbuild.turns import taking_turns
from kbtf.say import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kbtf.hooks.options import Config
    from kbtf.kbuild.make import Words
    from kbtf.run.outcome import Outcome

    Phases = Callable[[list[Outcome], list[str]], list[Outcome]]
    """Runs the phases on modules that had no step, in place, and reports all outcomes."""


class Request(NamedTuple):
    """The request for a build."""

    words: Words
    arguments: tuple[str, ...] = ()
    """Options for make."""
    work: str | None = None
    """Where to build, if not next to the sources."""
    module: str | None = None
    """The single module to deliver."""
    output: str | None = None
    symvers: str | None = None
    """Where to copy the directory's Module.symvers."""
    raw: bool = False
    """Leave modules as linked."""
    depfile: str | None = None


class Build:
    """One build: make with kbtf in its BTF step, and the other requested files."""

    def __init__(
        self,
        request: Request,
        config: Config,
        options: Iterable[str],
        step: Sequence[str],
        phases: Phases,
    ) -> None:
        self.request = request
        self.folder = os.path.abspath(request.work) if request.work else request.words.folder
        require_one_word(self.folder, is_work=bool(request.work))
        variables = request.words.variables
        outputs = variable("MO", variables)
        self.make = Make(
            os.path.abspath(config["kdir"]),
            self.folder,
            (
                *(NO_BTF if request.raw else ()),
                *request.arguments,
                *variables,
                # make would take it from the kernel build directory
                *([f"MO={os.path.abspath(outputs)}"] if outputs else []),
            ),
        )
        self._config = config
        self._options = list(options)
        self._step = step
        self._phases = phases

    @property
    def _output(self) -> str:
        """Where Kbuild puts its output."""
        return output_directory(self.folder, self.request.words.variables)

    def run(self) -> int:
        """Run the build; the exit status is make's, or the worst of the failed modules."""
        targets = self.request.words.targets or ["modules"]
        if self._config["dry-run"] or self.make.only_says:
            import shlex

            say(shlex.join(self.make.command(targets)))
            return 0
        if any(map(builds_modules, targets)):
            require_description(self.request.words.folder)
        if self.request.work:
            from kbtf.kbuild.staging import stage

            stage(self.request.words.folder, self.folder)
        last = max((at for at, name in enumerate(targets) if builds_modules(name)), default=None)
        if last is None:
            code = self.make.run(targets)
            if code:
                require_known(targets)
            return code
        # modules_install installs modules as they are, so later targets wait for the phases.
        now, later = targets[: last + 1], targets[last + 1 :]
        require_writable(self._output)
        with taking_turns(self.folder):
            code = self._build(now)
        code = self.make.run(later) if later and not code else code
        if code:
            require_known(targets)
        return code

    def _build(self, targets: list[str]) -> int:
        linked = self._linked(targets)
        if not linked and not single_modules(targets):
            linked = linked_modules(self._output)
        linked = [path for path in linked if is_below(self._output, path)]
        bases: list[str] | None = []
        if self.request.raw:
            drop_stamp(self._output)
            drop_processed(self._wanted(linked))
            code = self.make.run(targets)
            modules = self._linked(targets)
        else:
            bases = drop_outdated(self._output, linked, self._config, self._options)
            with Steps(self._step) as steps:
                code = self.make.run(targets, steps.environment())
                outcomes = self._complete(steps.outcomes(), [] if code else self._linked(targets))
            modules = [outcome.module for outcome in outcomes]
            failure = max((outcome.exit_code for outcome in outcomes), default=0)
            if failure:
                drop_stamp(self._output)
            code = code or failure
        if code:
            return code
        if not modules:
            raise nothing_built(self.folder)
        if not self.request.raw:
            stays = bases is not None
            bases = [*(bases or []), *(outcome.base for outcome in outcomes if outcome.base)]
            # The record is one for all modules in the directory.
            if stays or not (single_modules(targets) and self._has_others(modules)):
                write_stamp(self._output, self._config, self._options, bases)
        self._hand_out(self._wanted(modules), bases or [])
        return 0

    def _has_others(self, modules: list[str]) -> bool:
        """Whether there are modules of earlier builds, which may be made otherwise."""
        here = set(map(os.path.realpath, modules))
        return not here.issuperset(map(os.path.realpath, linked_modules(self._output)))

    def _linked(self, targets: list[str]) -> list[str]:
        return built_modules(self._output, targets)

    def _complete(self, done: list[Outcome], linked: list[str]) -> list[Outcome]:
        """The outcomes of the steps, and of modules that were already linked and had no step."""
        stepped = {os.path.realpath(outcome.module) for outcome in done}
        left = [path for path in linked if os.path.realpath(path) not in stepped]
        self._require_inside(left)
        return self._phases(done, left)

    def _require_inside(self, modules: list[str]) -> None:
        for path in modules:
            if not is_below(self._output, path):
                raise KbtfError(
                    f"is outside {self._output}, the directory being built",
                    file=path,
                    hint="build it in its own directory, or use --work",
                )

    def _wanted(self, modules: list[str]) -> list[str]:
        """The requested module; names are compared as modprobe does."""
        if self.request.module is None:
            return modules
        name = _plain(self.request.module)
        return [path for path in modules if _plain(os.path.basename(path)) == name]

    def _hand_out(self, wanted: list[str], bases: list[str]) -> None:
        output, depfile = self.request.output, self.request.depfile
        if output and len(wanted) != 1:
            built = ", ".join(map(os.path.basename, built_modules(self._output)))
            raise KbtfError(
                f"{len(wanted) or 'no'} modules {self.request.module} were built there",
                file=self.folder,
                hint=f"there are {built}" if built else None,
            )
        symvers = os.path.join(self._output, "Module.symvers")
        needs: list[str] = []
        if output or self.request.symvers or depfile:
            from kbtf.kbuild.cmdfiles import inputs

            needs = inputs(self._output, self.make.kdir, wanted)
            self._require_distinct({output: wanted[0], self.request.symvers: symvers}, needs)
        if output:
            replace_and_warn(output, read_file(wanted[0]), like=wanted[0])
        if self.request.symvers:
            replace_and_warn(self.request.symvers, read_file(symvers))
        if depfile:
            from kbtf.files.depfile import write_depfile

            if not self.request.raw:
                needs += [*bases, *self._config.files]
            write_depfile(depfile, [output] if output else wanted, dict.fromkeys(needs))

    def _require_distinct(self, copies: dict[str | None, str], needs: list[str]) -> None:
        """UsageError if what is handed out would replace a source or another product."""
        # A product may be copied onto itself.
        targets = [
            path
            for path, product in copies.items()
            if path and os.path.realpath(path) != os.path.realpath(product)
        ]
        products = [*copies.values(), *built_modules(self._output)]
        require_distinct([*targets, self.request.depfile], [*products, *needs])


def _plain(name: str) -> str:
    return name.removesuffix(".ko").replace("-", "_")
