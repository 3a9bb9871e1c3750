# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The base BTF for a module: the one the user named, else this machine's for its kernel."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.errors import BaseError, os_error
from kbtf.kernel.find import base_of, require_directory

if TYPE_CHECKING:
    from kbtf.btf.base import Base
    from kbtf.elf.module import Module
    from kbtf.hooks.manager import Manager
    from kbtf.hooks.options import Config


class BaseFinder:
    """Opens each base once per run, regardless of how many modules share it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._opened: dict[str, Base] = {}
        named = config["base"]
        if named:  # even if no module needs it
            try:
                os.stat(named)
            except OSError as error:
                raise os_error(error, named) from error
        if config["kdir"] is not None:
            require_directory(config["kdir"])

    def find(self, module: Module) -> Base:
        """The base for *module*, which gets notes on how it was found.

        BaseNotFoundError if there is none.
        """
        named = self._config["base"]
        key = named or f"release {module.release}"
        if key not in self._opened:
            self._opened[key] = self._open(named, module)
        for note in self._opened[key].notes:
            module.note(note)
        return self._opened[key]

    def _open(self, named: str | None, module: Module) -> Base:
        cache = not self._config["no-cache"]
        return base_of(module, named, kdir=self._config["kdir"], cache=cache)


def find_base(module: Module, manager: Manager, config: Config, bases: BaseFinder) -> Base:
    """The base that a plugin provides for *module*, else the one that *bases* finds.

    BaseError if it is known to be another kernel's, unless that is allowed.
    """
    found: Base = manager.call("kbtf_find_base", module=module, config=config)
    found = found or bases.find(module)
    what = other_release(found, module)
    if what and not config["allow-other-release"]:
        raise BaseError(
            what,
            file=module.path,
            hint="name the right base with --base, or use --allow-other-release",
        )
    if what:
        module.warn(what)
    return found


def other_release(base: Base, module: Module) -> str | None:
    """How *base* is known to be of another kernel than the one *module* was built for."""
    if base.release is None or module.release in (None, base.release):
        return None
    return f"was built for {module.release}, the base {base.source} is {base.release}'s"
