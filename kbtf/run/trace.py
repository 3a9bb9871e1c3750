# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A trace of hook calls: the plugin, the order, the time taken, and the changes."""

from __future__ import annotations

import functools
import inspect
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from kbtf.elf.image import ElfImage
from kbtf.elf.module import Module
from kbtf.errors import in_words
from kbtf.hooks.markers import hookimpl
from kbtf.hooks.options import OptionGroup
from kbtf.hooks.output import Output
from kbtf.hooks.specs import HOOKS
from kbtf.run.base_finder import BaseFinder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from kbtf.btf.base import Base
    from kbtf.hooks.manager import Manager
    from kbtf.hooks.options import Config


class Step(NamedTuple):
    """One call of a plugin's hook, or one half of a wrapper's."""

    module: str | None
    """The path of the module that it was called for, if any."""
    hook: str
    plugin: str
    part: str | None
    """``before`` or ``after``, for a wrapper."""
    ms: float
    """Without hooks that were called from it."""
    changed: tuple[str, ...] = ()
    """Names of sections and options, ``file`` for the whole file, prefixed with ``+`` or ``-``."""
    error: str | None = None


class Trace:
    """The steps of a run, in the order in which they started."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._subjects: list[Any] = []
        self._inner: list[float] = [0.0]

    def watch(self, manager: Manager) -> None:
        """Record every call of *manager* from now on."""
        pluggy = manager.use_pluggy()
        for plugin in manager.plugins:
            pluggy.unregister(name=plugin.name)
            pluggy.register(self._watched(plugin.module, plugin.name), name=plugin.name)
        # kbtf's own search for a base comes after the plugins', like another plugin.
        pluggy.register(self._watched(_OwnSearch(), "kbtf"), name="kbtf")
        pluggy.add_hookcall_monitoring(self._enter, self._leave)

    def _enter(self, hook: str, impls: object, arguments: Mapping[str, Any]) -> None:
        subject = arguments.get("module", arguments.get("output", arguments.get("group")))
        self._subjects.append(subject)

    def _leave(self, *what: object) -> None:
        self._subjects.pop()

    def _watched(self, plugin: object, name: str) -> ModuleType:
        """The same hooks with the same marker options, timed."""
        watched = ModuleType(name)
        for hook in HOOKS:
            function = getattr(plugin, hook, None)
            if hasattr(function, "kbtf_impl"):
                setattr(watched, hook, self._timed(hook, name, function))
        return watched

    def _timed(self, hook: str, plugin: str, function: Any) -> Any:
        marks = function.kbtf_impl

        @functools.wraps(function)
        def plain(*arguments: object) -> object:
            return self._step(hook, plugin, None, lambda: function(*arguments))

        @functools.wraps(function)
        def wrapper(*arguments: object) -> Generator[None, object, object]:
            inner = function(*arguments)
            self._step(hook, plugin, "before", lambda: next(inner))
            try:
                result = yield
            except BaseException as error:
                raised = error
                rest: Callable[[], object] = lambda: inner.throw(raised)  # noqa: E731
            else:
                rest = lambda: inner.send(result)  # noqa: E731
            return self._step(hook, plugin, "after", lambda: _end_of(rest))

        timed = wrapper if marks.get("wrapper") or marks["hookwrapper"] else plain
        # pluggy before 1.2 does not look for the arguments in __wrapped__
        vars(timed)["__signature__"] = inspect.signature(function)
        return timed

    def _step(self, hook: str, plugin: str, part: str | None, call: Callable[[], object]) -> object:
        subject = self._subjects[-1]
        module = getattr(subject, "module", subject)
        path = module.path if isinstance(module, Module) else None
        at = len(self.steps)
        step = Step(path, hook, plugin, part, 0.0)
        self.steps.append(step)
        before = _contents(subject)
        self._inner.append(0.0)
        start = time.perf_counter()
        try:
            return call()
        except BaseException as error:
            step = step._replace(error=in_words(error))
            raise
        finally:
            taken = time.perf_counter() - start
            own = taken - self._inner.pop()
            changed = _difference(before, _contents(subject))
            self.steps[at] = step._replace(ms=round(1000 * own, 3), changed=changed)
            # The time to take snapshots is not counted either.
            self._inner[-1] += time.perf_counter() - start


class _OwnSearch:
    """The search for a base after the plugins'."""

    def __init__(self) -> None:
        self._bases: BaseFinder | None = None

    @hookimpl(trylast=True)
    def kbtf_find_base(self, module: Module, config: Config) -> Base:
        self._bases = self._bases or BaseFinder(config)
        return self._bases.find(module)


def _end_of(rest: Callable[[], object]) -> object:
    try:
        rest()
    except StopIteration as end:
        return end.value
    raise RuntimeError("a wrapper has a second yield")


def _contents(subject: object) -> dict[str, int]:
    """The state that a plugin may change, by name."""
    if isinstance(subject, OptionGroup):
        return {(option.flags or (key,))[-1]: 0 for key, option in subject.options.items()}
    if isinstance(subject, Output):
        return {"file": hash(subject.data)}
    if not isinstance(subject, Module):
        return {}
    image = ElfImage(subject.to_pieces())
    contents = {s.name: hash(bytes(image.contents(s))) for s in image.sections if s.type}
    # BTF is put into the image at the end; accessing it here would search for a base.
    for name, btf in zip((".BTF", ".BTF.base"), subject.known_btf(), strict=True):
        if btf is not None:
            contents[name] = hash(btf.to_bytes())
    for name in (".symtab", ".strtab", ".shstrtab"):
        contents.pop(name, None)
    if subject.skipped:
        contents["skipped"] = 0
    return contents


def _difference(old: dict[str, int], new: dict[str, int]) -> tuple[str, ...]:
    return (
        *(f"-{name}" for name in old if name not in new),
        *(name for name in new if name in old and old[name] != new[name]),
        *(f"+{name}" for name in new if name not in old),
    )
