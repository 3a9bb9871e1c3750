"""Options: declared once, then set on the command line or in a configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.errors import PluginError, UsageError, os_error
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


class Option(NamedTuple):
    """An option of the command line that is also a key of the configuration."""

    flags: tuple[str, ...]
    key: str
    """As in the configuration file; ``table.name`` stands in a table."""
    default: object
    kwargs: dict[str, Any]

    @property
    def dest(self) -> str:
        """The attribute that argparse sets."""
        return "option:" + self.key


class OptionGroup:
    """Where plugins add their options."""

    def __init__(self) -> None:
        self.options: dict[str, Option] = {}
        self._parser: argparse.ArgumentParser | None = None

    def add(self, *flags: str, key: str = "", default: object = None, **kwargs: Any) -> None:
        """Add an option; *kwargs* are those of ``ArgumentParser.add_argument``.

        *key* is its name in the configuration, by default the first long flag without dashes.
        The value is ``config[key]``.
        """
        long = next((flag for flag in flags if flag.startswith("--")), "")
        key = key or long.removeprefix("--")
        if not key:
            raise PluginError(f"an option needs a long flag or a key: {', '.join(flags)}")
        if key in self.options:
            raise PluginError(f"there is an option {key} already")
        self.options[key] = option = Option(flags, key, default, kwargs)
        if self._parser:
            _put(option, self._parser)

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Put the options that have flags on a command's parser, and what is added later too.

        So whoever adds one that the command has already is told where it does so.
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

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def as_dict(self) -> dict[str, Any]:
        """All values, by key."""
        return dict(self._values)

    def get(self, key: str, default: object = None) -> Any:
        """The value of an option, *default* if no plugin declared it."""
        return self._values.get(key, default)


def read_table(path: str | None) -> tuple[dict[str, Any], str | None]:
    """The configuration and the file it is in: *path*, or what the current directory has.

    There that is ``kbtf.toml``, else ``[tool.kbtf]`` of ``pyproject.toml``; no other directory is
    searched.
    """
    if path is not None:
        return _parse(path, in_pyproject=path.endswith("pyproject.toml")), path
    for name in ("kbtf.toml", "pyproject.toml"):
        try:
            table = _parse(name, in_pyproject=name == "pyproject.toml")
        except FileNotFoundError:
            continue
        if table:
            return table, name
    return {}, None


def _parse(path: str, *, in_pyproject: bool) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except FileNotFoundError as error:
        if path in ("kbtf.toml", "pyproject.toml"):
            raise
        raise os_error(error, path) from error
    except OSError as error:
        raise os_error(error, path) from error
    if in_pyproject and b"kbtf" not in raw:
        return {}
    import tomllib

    try:
        table = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"is not TOML: {error}", file=path) from error
    return table.get("tool", {}).get("kbtf", {}) if in_pyproject else table


def merge(
    group: OptionGroup, table: dict[str, Any], file: str | None, given: Mapping[str, Any]
) -> Config:
    """Defaults, then the configuration file, then the command line; UsageError names a bad key."""
    values = {option.key: option.default for option in group.options.values()}
    for key, value in _flatten(table):
        if key == "plugins":
            continue
        option = group.options.get(key)
        if option is None:
            known = ", ".join(sorted(group.options))
            raise UsageError(f"unknown key '{key}'", file=file, hint=f"known are {known}")
        values[key] = _checked(option, value, file)
    for option in group.options.values():
        if option.dest in given:
            values[option.key] = given[option.dest]
    return Config(values)


def _flatten(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat = []
    for key, value in table.items():
        if isinstance(value, dict):
            flat += _flatten(value, f"{prefix}{key}.")
        else:
            flat.append((prefix + key, value))
    return flat


def _checked(option: Option, value: object, file: str | None) -> object:
    choices = option.kwargs.get("choices")
    if choices is not None and value not in choices:
        wanted = ", ".join(map(str, choices))
        raise UsageError(f"{option.key} = {value!r} is not one of {wanted}", file=file)
    is_flag = option.kwargs.get("action") in ("store_true", "store_false")
    kind = bool if is_flag else option.kwargs.get("type", str)
    if option.kwargs.get("action") == "append" or "nargs" in option.kwargs:
        kind = list
    if isinstance(kind, type) and not isinstance(value, kind):
        raise UsageError(f"{option.key} = {value!r} is not of type {kind.__name__}", file=file)
    count = option.kwargs.get("nargs")
    kinds = [type(item) for item in value] if isinstance(value, list) else []
    if isinstance(count, int) and kinds != [str] * count:
        raise UsageError(f"{option.key} = {value!r} is not {count} strings", file=file)
    return value
