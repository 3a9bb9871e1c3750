# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What the next boot of a kernel does with its modules' BTF."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kbtf.check.kernel import is_set, kernel_of
from kbtf.check.machine.facts import Facts, Memory, examine
from kbtf.check.machine.installed import module_files
from kbtf.check.machine.vermagic import held_against, kernel_vermagic
from kbtf.check.result import BtfFate, Loading
from kbtf.elf.files import read_file
from kbtf.errors import BaseNotFoundError, KbtfError
from kbtf.files.paths import within
from kbtf.findings.boot import BOOT
from kbtf.findings.finding import Severity
from kbtf.kernel.find import find_base
from kbtf.kernel.initramfs import early_modules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kbtf.check.kernel import Kernel
    from kbtf.check.machine.installed import InstalledKernel
    from kbtf.findings.finding import Finding

_LOST = frozenset({Loading.FAILS, Loading.LOADS_WITHOUT_BTF, Loading.DEPENDS})
_MAY_FAIL = frozenset({Loading.FAILS, Loading.DEPENDS, Loading.DEPENDS_ON_INIT})


class Problem(NamedTuple):
    """A problem of a module that its owner should know before the next boot."""

    severity: Severity
    """An error if the boot refuses a module or loses its BTF."""
    code: str
    module: str
    """Its path."""
    text: str
    initramfs: bool = False
    """Whether it is about the copy in the initramfs."""
    hint: str | None = None
    loading: Loading = Loading.UNKNOWN
    """What happens to the module itself."""

    @property
    def may_fail(self) -> bool:
        """Whether it is an error that may keep the module from loading, not only its BTF."""
        return self.severity is Severity.ERROR and self.loading in _MAY_FAIL


class Boot(NamedTuple):
    """The forecast for one kernel."""

    release: str
    source: str | None
    """The file that the kernel's BTF was read from; None if it was not found."""
    refusal_is_fatal: bool | None
    """Whether a module with refused BTF fails to load (CONFIG_MODULE_ALLOW_BTF_MISMATCH)."""
    initramfs: str | None
    modules: int
    early: int
    """Modules in the initramfs."""
    with_btf: int
    """Modules whose BTF the kernel accepts."""
    without_btf: tuple[str, ...] = ()
    """The names of modules that have none."""
    problems: tuple[Problem, ...] = ()
    error: str | None = None
    """Why there is no forecast for the whole kernel."""

    @property
    def is_bad(self) -> bool:
        """Whether the boot refuses a module or loses its BTF, or the kernel is not known."""
        return self.error is not None or any(p.severity is Severity.ERROR for p in self.problems)


def forecast(installed: InstalledKernel, *, root: str = "/", keep: bool = True) -> Boot:
    """The forecast for the boot of *installed*; with *keep*, facts are cached for the next run."""
    try:
        kernel = kernel_of(find_base(installed.release, cache=keep, root=root), root=root)
    except KbtfError as error:
        # a missing base has a hint for commands with --base
        said = error.without_hint if isinstance(error, BaseNotFoundError) else str(error)
        return Boot(installed.release, None, None, installed.initramfs, 0, 0, 0, error=said)
    memory = Memory(kernel, keep=keep)
    files = {path: _on_disk(path, kernel, memory, root) for path in module_files(installed)}
    early, problem = _in_initramfs(installed, kernel, memory)
    memory.keep()
    vermagic = kernel_vermagic(installed.release, files.values())
    files = {path: held_against(vermagic, facts) for path, facts in files.items()}
    early = {name: held_against(vermagic, facts) for name, facts in early.items()}
    problems = [each for path, facts in files.items() for each in _problems(path, facts)]
    problems += _unsigned(files, kernel, root)
    problems += problem
    problems += _early_problems(installed, files, early)
    return Boot(
        release=installed.release,
        source=kernel.source,
        refusal_is_fatal=None if kernel.allow_mismatch is None else not kernel.allow_mismatch,
        initramfs=installed.initramfs,
        modules=len(files),
        early=len(early),
        with_btf=sum(facts.btf is BtfFate.ACCEPTED for facts in files.values()),
        without_btf=tuple(
            module_name(path) for path, facts in files.items() if facts.btf is BtfFate.NONE
        ),
        problems=tuple(problems),
    )


def _on_disk(path: str, kernel: Kernel, memory: Memory, root: str) -> Facts:
    try:
        file = within(root, path) if os.path.islink(path) else path
        return memory.of_file(file, lambda: {"": examine(read_file(file), path, kernel)})[""]
    except KbtfError as error:
        return _unreadable(error)


def _unreadable(error: KbtfError) -> Facts:
    return Facts(None, False, False, False, "", BtfFate.UNKNOWN, Loading.UNKNOWN, (), str(error))


def _in_initramfs(
    installed: InstalledKernel, kernel: Kernel, memory: Memory
) -> tuple[Mapping[str, Facts], list[Problem]]:
    """The facts about the copies, by path below the release; and why the image is unreadable."""
    image = installed.initramfs
    if image is None:
        return {}, []

    def find() -> Mapping[str, Facts]:
        found = {}
        for path, data, budget in early_modules(image):
            release, _, name = path.partition("/")
            if release == installed.release:
                found[name] = examine(data, f"{image}: {name}", kernel, budget)
        return found

    try:
        return memory.of_file(image, find), []
    except KbtfError as error:
        finding = BOOT.finding("initramfs-unreadable", why=error.what)
        return {}, [_problem(finding, image, initramfs=True)]


def _problem(
    finding: Finding,
    module: str,
    *,
    initramfs: bool = False,
    loading: Loading = Loading.UNKNOWN,
) -> Problem:
    severity, code, text, _, hint = finding
    return Problem(severity, code, module, text, initramfs, hint, loading)


def _problems(path: str, facts: Facts, *, initramfs: bool = False) -> Iterator[Problem]:
    """What is wrong with one module or its copy."""
    if facts.error is not None:
        finding = BOOT.finding("unreadable", why=facts.error)
        yield _problem(finding, path, initramfs=initramfs)
    for severity, code, text in facts.findings:
        if severity == Severity.ERROR.value:
            said = f"{_effect(facts)}: {text}"
            yield Problem(Severity.ERROR, code, path, said, initramfs, loading=facts.loading)
        elif severity == Severity.WARNING.value and not facts.intree:
            yield Problem(Severity.WARNING, code, path, text, initramfs, loading=facts.loading)


def _effect(facts: Facts) -> str:
    """What the boot does with a module that has an error."""
    if facts.loading in _LOST or facts.loading is Loading.DEPENDS_ON_INIT:
        return facts.loading.value
    return "its kfuncs are lost" if facts.btf is BtfFate.ACCEPTED else "loads without BTF"


def _unsigned(files: Mapping[str, Facts], kernel: Kernel, root: str) -> Iterator[Problem]:
    """Modules without a signature, if the kernel's own modules have one or it requires one."""
    is_forced = is_set("CONFIG_MODULE_SIG_FORCE", kernel.source, kernel.release, root=root)
    if not is_forced and not any(facts.signed and facts.intree for facts in files.values()):
        return
    case = "forced" if is_forced else "secure_boot"
    for path, facts in files.items():
        if not facts.signed and facts.error is None:
            loading = Loading.FAILS if is_forced else facts.loading
            yield _problem(BOOT.finding("unsigned", case), path, loading=loading)


def module_name(path: str) -> str:
    """The name of a module once it is loaded."""
    return os.path.basename(_unpacked(path))[:-3].replace("-", "_")


def _early_problems(
    installed: InstalledKernel, files: Mapping[str, Facts], early: Mapping[str, Facts]
) -> Iterator[Problem]:
    """Copies in the initramfs that differ from the installed modules."""
    by_name = {_unpacked(os.path.relpath(path, installed.modules)): path for path in files}
    for name, copy in early.items():
        path = by_name.get(_unpacked(name))
        if path is None:
            yield _problem(BOOT.finding("early-only"), name, initramfs=True)
            yield from _problems(name, copy, initramfs=True)
        elif copy.digest != files[path].digest:
            yield _problem(BOOT.finding("early-differs"), path, initramfs=True)
            yield from _problems(path, copy, initramfs=True)


def _unpacked(name: str) -> str:
    """The path of a module without the suffix of its compression."""
    return name[: name.rindex(".ko") + 3]
