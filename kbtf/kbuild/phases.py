# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Run phases on a module inside Kbuild: no configuration is read, and the base is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.hooks.manager import make_manager
from kbtf.hooks.options import OptionGroup
from kbtf.run.base_finder import BaseFinder, find_base
from kbtf.run.config import merge
from kbtf.run.options import add_run_options
from kbtf.run.phases import PHASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.btf.base import Base
    from kbtf.elf.module import Module
    from kbtf.hooks.manager import Manager
    from kbtf.hooks.options import Config
    from kbtf.run.phases import Phase


class Phases:
    """The plugins and options of one call: built-in and installed ones, options at their defaults.

    A file in the directory that make runs in is ignored, because that is the kernel's.  *chosen*
    are the options that Kbuild's request determines; *without* names passes that the caller
    replaces.
    """

    def __init__(self, base: str, *without: str, **chosen: str | bool) -> None:
        self._manager: Manager = make_manager(f"no:{name}" for name in without)
        group = OptionGroup()
        add_run_options(group)
        self._manager.call("kbtf_add_options", group=group)
        # Kbuild chose the base; if it looks wrong, that is a warning, not a failed build.
        chosen |= {"base": base, "allow-other-release": True}
        self._config: Config = merge(
            group, {}, None, {group.options[key].dest: value for key, value in chosen.items()}
        )
        self._manager.call("kbtf_configure", config=self._config)

    def find_base(self, module: Module) -> Base:
        """The base that Kbuild named, unless a plugin provides another."""
        return find_base(module, self._manager, self._config, BaseFinder(self._config))

    def left_out(self) -> Iterator[str]:
        """A line for each installed plugin that uses a phase which does not run here."""
        for plugin in self._manager.plugins:
            for phase in PHASES:
                if (
                    plugin.origin != "built-in"
                    and not phase.in_kbuild
                    and hasattr(plugin.module, phase.hook)
                ):
                    where = "runs only in 'kbtf build' and 'kbtf run'"
                    yield f"plugin {plugin.name}: {phase.hook} {where}"

    def run(self, module: Module, *phases: Phase) -> None:
        """Run these phases until a plugin skips the module."""
        for phase in phases:
            if not module.skipped:
                self._manager.call(phase.hook, module=module, config=self._config)
