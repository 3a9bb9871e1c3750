# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The configuration: a file that overrides defaults and is overridden by the command line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kbtf.errors import KbtfError, UsageError
from kbtf.files.small import read_small
from kbtf.hooks.options import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kbtf.files.small import SmallFile
    from kbtf.hooks.options import Option, OptionGroup

_MOST = 1 << 18  # bytes of a configuration
_DEEPEST = 16  # tables in tables
_MOST_DOTS = 100  # in a line; tomllib needs quadratic time for a dotted key
_LONGEST = 60  # characters of a value in a message


def read_table(path: str | None) -> tuple[dict[str, Any], str | None]:
    """The configuration and its file: *path*, or the one in the current directory.

    In the current directory, that is ``kbtf.toml``, else ``[tool.kbtf]`` of ``pyproject.toml``; no
    other directory is searched.  A file that another user could have written is refused.
    """
    if path == os.devnull:  # for no configuration at all
        return {}, None
    if path is not None:
        table = _parse(path, in_pyproject=path.endswith("pyproject.toml"))
        if table is None:
            raise KbtfError("no such file or directory", file=path)
        return table, path
    for name in ("kbtf.toml", "pyproject.toml"):
        table = _parse(name, in_pyproject=name == "pyproject.toml")
        if table:
            return table, name
    return {}, None


def _parse(path: str, *, in_pyproject: bool) -> dict[str, Any] | None:
    """The table of a file; None if there is no such file."""
    file = read_small(path, _MOST)
    if file is None:
        return None
    if not in_pyproject:
        file.require_private()
        return _parse_toml(file)
    if b"kbtf" not in file.data:
        return {}
    tool = _parse_toml(file).get("tool")
    table = tool.get("kbtf", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"tool.kbtf = {_shown(table)} is not a table", file=path)
    if table:  # otherwise it does not concern kbtf, whoever wrote it
        file.require_private()
    return table


def _parse_toml(file: SmallFile) -> dict[str, Any]:
    import tomllib

    if any(line.count(b".") > _MOST_DOTS for line in file.data.splitlines()):
        raise UsageError("is nested too deeply", file=file.path)
    try:
        return tomllib.loads(file.data.decode())
    except RecursionError as error:
        raise UsageError("is nested too deeply", file=file.path) from error
    except ValueError as error:  # also for text that is not UTF-8, and for huge numbers
        raise UsageError(f"is not TOML: {error}", file=file.path) from error


def merge(
    group: OptionGroup,
    table: dict[str, Any],
    file: str | None,
    given: Mapping[str, Any],
    *,
    trusted: bool = True,
) -> Config:
    """Defaults, then the configuration file, then the command line; UsageError names a bad key.

    A file that is not *trusted* sets only options that are safe.
    """
    values = {option.key: option.default for option in group.options.values()}
    for key, value in _flatten(table, file):
        if key == "plugins":
            continue
        option = group.options.get(key)
        if option is None:
            known = ", ".join(sorted(group.options))
            raise UsageError(f"unknown key {_shown(key)}", file=file, hint=f"known are {known}")
        values[key] = _checked(option, value, file)
        if not (trusted or option.safe):
            raise UsageError(
                f"sets '{key}', which needs a configuration that you name",
                file=file,
                hint=f"use --config {file} if you trust all of it",
            )
    for option in group.options.values():
        if option.dest in given:
            values[option.key] = given[option.dest]
    return Config(values)


def _flatten(
    table: dict[str, Any], file: str | None, prefix: tuple[str, ...] = ()
) -> list[tuple[str, Any]]:
    if len(prefix) > _DEEPEST:
        raise UsageError("is nested too deeply", file=file)
    flat = []
    for key, value in table.items():
        if isinstance(value, dict):
            flat += _flatten(value, file, (*prefix, key))
        else:
            flat.append((".".join((*prefix, key)), value))
    return flat


def _checked(option: Option, value: Any, file: str | None) -> object:
    """The value of an option from a table; UsageError if it is not a valid one."""
    kind = _kind(option)
    if not isinstance(kind, type):
        from argparse import ArgumentTypeError

        try:
            return kind(str(value))  # as on the command line
        except (ArgumentTypeError, TypeError, ValueError):
            wrong: str | None = "is not what this option takes"
    else:
        wrong = _mistake(option, kind, value)
    if wrong:
        raise UsageError(f"{option.key} = {_shown(value)} {wrong}", file=file)
    return value


def _kind(option: Option) -> type | Callable[[str], object]:
    """The type of the values of an option, or the function that reads them."""
    action = option.kwargs.get("action")
    if action in ("store_true", "store_false"):
        return bool
    if action == "append" or "nargs" in option.kwargs:
        return list
    kind: type | Callable[[str], object] = option.kwargs.get("type", str)
    return kind


def _mistake(option: Option, kind: type, value: Any) -> str | None:
    choices = option.kwargs.get("choices")
    if choices is not None and value not in choices:
        return f"is not one of {', '.join(map(str, choices))}"
    if type(value) is not kind:  # true is not a number
        return f"is not of type {kind.__name__}"
    if value == "" != option.default:
        return "is empty"
    count = option.kwargs.get("nargs")
    kinds = [type(item) for item in value] if isinstance(value, list) else []
    if isinstance(count, int) and kinds != [str] * count:
        return f"is not {count} strings"
    return None


def _shown(value: object) -> str:
    """A value for a message, shortened to fit into a line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a huge {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
