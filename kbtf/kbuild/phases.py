"""Phases of kbtf run on a module inside Kbuild: no configuration is read, the base is given."""

from __future__ import annotations

from kbtf.elf.vmlinux import open_base
from kbtf.host.bases import BaseFinder
from kbtf.host.config import OptionGroup, merge
from kbtf.host.manager import make_manager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbtf.elf.module import Module
    from kbtf.elf.vmlinux import Base
    from kbtf.host.config import Config
    from kbtf.host.manager import Manager


class Phases:
    """The plugins and options of one call: built-in and installed ones, options at their defaults.

    A file in the directory that make happens to run in has no say, for that is the kernel's.
    *chosen* are the options that what Kbuild asks for decides.
    """

    def __init__(self, base: str, **chosen: str | bool) -> None:
        self._manager: Manager = make_manager()
        group = OptionGroup()
        for key, default in (
            ("base", base),
            ("kdir", None),
            # Kbuild chose the base; that it looks wrong is worth a warning, not a failed build.
            ("allow-other-release", True),
            ("no-cache", False),
            ("strip-signature", False),
            ("dry-run", False),
        ):
            group.add(key=key, default=default)
        self._manager.call("kbtf_add_options", group=group)
        self._config: Config = merge(
            group, {}, None, {group.options[key].dest: value for key, value in chosen.items()}
        )
        self._manager.call("kbtf_configure", config=self._config)

    def find_base(self, module: Module) -> Base:
        """The base that Kbuild named, unless a plugin knows a better one."""
        found: Base | None = self._manager.call(
            "kbtf_find_base", module=module, config=self._config
        )
        base = found or open_base(self._config["base"])
        BaseFinder(self._config).check_release(base, module)
        return base

    def left_out(self, *hooks: str) -> Iterator[str]:
        """A line for each installed plugin that counts on one of *hooks*, which do not run here."""
        for plugin in self._manager.plugins:
            for hook in hooks:
                if plugin.origin != "built-in" and hasattr(plugin.module, hook):
                    yield f"plugin {plugin.name}: {hook} runs only in 'kbtf build' and 'kbtf run'"

    def run(self, module: Module, *phases: str) -> None:
        """Run these phases, as long as no plugin leaves the module alone."""
        for phase in phases:
            if not module.skipped:
                self._manager.call(phase, module=module, config=self._config)
