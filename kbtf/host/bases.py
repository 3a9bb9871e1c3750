"""Which base BTF a module gets: what the user named, else what this machine has for its kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.elf.find import find_base
from kbtf.elf.vmlinux import open_base
from kbtf.errors import BaseError, BaseNotFoundError

if TYPE_CHECKING:
    from kbtf.elf.module import Module
    from kbtf.elf.vmlinux import Base
    from kbtf.host.config import Config


class BaseFinder:
    """Opens each base once a run, however many modules share it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._opened: dict[str, Base] = {}

    def find(self, module: Module) -> Base:
        """The base for *module*; BaseNotFoundError if there is none."""
        named = self._config["base"]
        key = named or f"release {module.release}"
        if key not in self._opened:
            self._opened[key] = self._open(named, module)
        return self._opened[key]

    def _open(self, named: str | None, module: Module) -> Base:
        cache = not self._config["no-cache"]
        if named:
            return open_base(named, cache=cache)
        if module.release is None:
            raise BaseNotFoundError(
                "does not say which kernel it was built for (no vermagic)",
                file=module.path,
                hint="name that kernel's vmlinux with --base",
            )
        return find_base(module.release, kdir=self._config["kdir"], cache=cache)

    def check_release(self, base: Base, module: Module) -> None:
        """BaseError if *base* is known to be another kernel's, unless that is allowed."""
        if base.release is None or module.release is None or base.release == module.release:
            return
        what = f"was built for {module.release}, the base {base.source} is {base.release}'s"
        if not self._config["allow-other-release"]:
            raise BaseError(
                what,
                file=module.path,
                hint="name the right base with --base, or insist with --allow-other-release",
            )
        module.warn(what)
