"""Which hook of which plugin was called, in which order, how long it took and what it changed."""

from __future__ import annotations

import functools
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from kbtf.elf.image import ElfImage
from kbtf.elf.module import Module
from kbtf.host.bases import BaseFinder
from kbtf.host.config import OptionGroup
from kbtf.host.manager import HOOKS, in_words
from kbtf.host.markers import hookimpl
from kbtf.host.pipeline import Output
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from kbtf.elf.vmlinux import Base
    from kbtf.host.config import Config
    from kbtf.host.manager import Manager


class Step(NamedTuple):
    """One call of a plugin's hook, or one half of a wrapper's."""

    module: str | None
    """The path of the module that it was for, if it was for one."""
    hook: str
    plugin: str
    part: str | None
    """``before`` or ``after``, for a wrapper."""
    ms: float
    """Without the hooks that were called meanwhile."""
    changed: tuple[str, ...] = ()
    """Names of sections and options, ``file`` for the whole, with ``+`` or ``-`` before them."""
    error: str | None = None


class Trace:
    """The steps of a run, in the order in which they began."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._subjects: list[Any] = []
        self._inner: list[float] = [0.0]

    def watch(self, manager: Manager) -> None:
        """See all that *manager* calls from now on."""
        for plugin in manager.plugins:
            manager.pluggy.unregister(name=plugin.name)
            manager.pluggy.register(self._watched(plugin.module, plugin.name), name=plugin.name)
        # kbtf's own search for a base comes after the plugins', as if it were one.
        manager.pluggy.register(self._watched(_OwnSearch(), "kbtf"), name="kbtf")
        manager.pluggy.add_hookcall_monitoring(self._enter, self._leave)

    def _enter(self, hook: str, impls: object, arguments: Mapping[str, Any]) -> None:
        subject = arguments.get("module", arguments.get("output", arguments.get("group")))
        self._subjects.append(subject)

    def _leave(self, *what: object) -> None:
        self._subjects.pop()

    def _watched(self, plugin: object, name: str) -> SimpleNamespace:
        """The same hooks with the same marks, timed."""
        hooks = {hook: getattr(plugin, hook, None) for hook in HOOKS}
        return SimpleNamespace(
            **{
                hook: self._timed(hook, name, function)
                for hook, function in hooks.items()
                if hasattr(function, "kbtf_impl")
            }
        )

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

        return wrapper if marks["wrapper"] or marks["hookwrapper"] else plain

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
            # What looking took is nobody's time either.
            self._inner[-1] += time.perf_counter() - start


class _OwnSearch:
    """The search for a base that follows the plugins'."""

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
    """What a plugin may change, by name."""
    if isinstance(subject, OptionGroup):
        return {(option.flags or (key,))[-1]: 0 for key, option in subject.options.items()}
    if isinstance(subject, Output):
        return {"file": hash(subject.data)}
    if not isinstance(subject, Module):
        return {}
    image = ElfImage(subject.to_pieces())
    contents = {s.name: hash(bytes(image.contents(s))) for s in image.sections if s.type}
    # BTF is put into the image at the end; asking for it here would look for a base.
    for name, btf in ((".BTF", subject._btf), (".BTF.base", subject._btf_base)):
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
