# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Options: declared once, then set on the command line or in a configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kbtf.errors import PluginError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


class Option(NamedTuple):
    """An option of the command line that is also a key of the configuration."""

    flags: tuple[str, ...]
    key: str
    """As in the configuration file; ``table.name`` is in a table."""
    default: object
    safe: bool
    """Whether a configuration that the user did not name may set it."""
    kwargs: dict[str, Any]

    @property
    def dest(self) -> str:
        """The attribute that argparse sets."""
        return "option:" + self.key


class OptionGroup:
    """The group that plugins add their options to."""

    def __init__(self) -> None:
        self.options: dict[str, Option] = {}
        self._parser: argparse.ArgumentParser | None = None

    def add(
        self,
        *flags: str,
        key: str = "",
        default: object = None,
        safe: bool = False,
        **kwargs: Any,
    ) -> None:
        """Add an option; *kwargs* are those of ``ArgumentParser.add_argument``.

        *key* is its name in the configuration, by default the first long flag without dashes.
        The value is ``config[key]``.  A *safe* option can be set by a configuration that was found
        in the current directory, which somebody else may have written: no value of it may make
        kbtf run a program, load code, open a connection, weaken a check, or use another file.
        """
        long = next((flag for flag in flags if flag.startswith("--")), "")
        key = key or long.removeprefix("--")
        if not key:
            raise PluginError(f"an option needs a long flag or a key: {', '.join(flags)}")
        if key in self.options:
            raise PluginError(f"there is already an option {key}")
        self.options[key] = option = Option(flags, key, default, safe, kwargs)
        if self._parser:
            _put(option, self._parser)

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add the options that have flags to a command's parser, now and when more are added.

        So a duplicate option raises its error in the code that adds it.
        """
        self._parser = parser
        for option in self.options.values():
            _put(option, parser)


def _put(option: Option, parser: argparse.ArgumentParser) -> None:
    import argparse

    if option.flags:
        parser.add_argument(
            *option.flags, dest=option.dest, default=argparse.SUPPRESS, **option.kwargs
        )


class Config:
    """The values of all options, by key."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = dict(values or {})
        self.files: list[str] = []
        """Configuration and plugin files that this run depends on."""
        self.signs = False
        """Set by a plugin that signs the output: an existing signature may be removed, and the run
        stays on the machine that has the key."""

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def as_dict(self) -> dict[str, Any]:
        """All values, by key."""
        return dict(self._values)

    def changed(self, key: str, value: object) -> Config:
        """The same with another value of one option."""
        config = Config({**self._values, key: value})
        config.files, config.signs = self.files, self.signs
        return config

    def get(self, key: str, default: object = None) -> Any:
        """The value of an option, *default* if no plugin declared it."""
        return self._values.get(key, default)
