# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The options and arguments of each command, as data: for completion, man pages, the reference."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, NamedTuple

from kbtf.cli.command import COMMANDS, find
from kbtf.cli.parser import arguments_of, command_parser, root_parser, summaries_of
from kbtf.cli.session import declare, is_configured

if TYPE_CHECKING:
    from kbtf.hooks.options import Option

# The completions for a value, by its placeholder in the help; files for all others.
_FOLDERS = frozenset({"DIR", "KDIR"})
_NO_FILES = frozenset({"HASH", "N", "NAME", "R", "SECTION", "TYPE"})


class Argument(NamedTuple):
    """An option, or a positional argument, of a command."""

    flags: tuple[str, ...]
    """``-o``, ``--output``; empty for a positional argument."""
    metavar: str
    """The placeholders of its values in the help; empty for a switch."""
    values: str
    """The kind of value: ``files``, ``folders``, ``words``, or ``none`` for a switch."""
    choices: tuple[str, ...]
    help: str


class Command(NamedTuple):
    """A command, including options that plugins add."""

    name: str
    summary: str
    usage: str
    description: str
    example: str
    arguments: tuple[Argument, ...]
    json: bool
    """Whether it has ``--json``."""

    @property
    def options(self) -> list[Argument]:
        return [argument for argument in self.arguments if argument.flags]

    @property
    def words(self) -> list[Argument]:
        return [argument for argument in self.arguments if not argument.flags]


def inventory() -> list[Command]:
    """All commands, those of installed plugins last.

    The current directory's configuration is not read.
    """
    own = [_own(name, summary) for name, summary in COMMANDS.items()]
    _, subparsers = root_parser()
    helps = summaries_of(subparsers)
    added = [
        _command(name, helps.get(name, ""), parser)
        for name, parser in subparsers.choices.items()
        if name not in COMMANDS
    ]
    return own + added


def settings_of(name: str) -> dict[str, Option]:
    """The settings of one of kbtf's own commands that a configuration may have, by key."""
    return _complete(name)[1]


def _complete(name: str) -> tuple[argparse.ArgumentParser, dict[str, Option]]:
    """The parser of one of kbtf's own commands, and its settings, with what plugins add."""
    command, parser = find(name), command_parser(name)
    if not is_configured(command):
        return parser, {}
    return parser, declare(command, parser, ["--config", os.devnull]).settings.options


def _own(name: str, summary: str) -> Command:
    command, (parser, _) = find(name), _complete(name)
    entry = _command(name, summary, parser)
    return entry._replace(description=command.DESCRIPTION, example=command.EXAMPLE)


def _command(name: str, summary: str, parser: argparse.ArgumentParser) -> Command:
    shown = [action for action in arguments_of(parser) if action.help != argparse.SUPPRESS]
    arguments = tuple(_argument(action) for action in shown)
    return Command(
        name=name,
        summary=summary,
        usage=_usage(name, parser, arguments),
        description=parser.description or "",
        example="",
        arguments=arguments,
        json=any("--json" in argument.flags for argument in arguments),
    )


def _usage(name: str, parser: argparse.ArgumentParser, arguments: tuple[Argument, ...]) -> str:
    """One line for each form, without the names of the options."""
    if parser.usage:
        return "\n".join(
            line.strip() for line in (parser.usage % {"prog": parser.prog}).split("\n")
        )
    words = [argument.metavar for argument in arguments if not argument.flags]
    return " ".join([f"kbtf {name}", "[options]", *words])


def _argument(action: argparse.Action) -> Argument:
    choices = tuple(map(str, action.choices or ()))
    names = action.metavar or ("|".join(choices) if choices else action.dest.upper())
    text = (action.help or "") % {"default": action.default}
    flags = tuple(action.option_strings)
    if action.nargs == 0:
        return Argument(flags, "", "none", (), text)
    if choices or names in _NO_FILES:
        values = "words"
    else:
        values = "folders" if names in _FOLDERS else "files"
    return Argument(flags, _placeholders(names, action), values, choices, text)


def _placeholders(names: str | tuple[str, ...], action: argparse.Action) -> str:
    if isinstance(names, tuple):
        return " ".join(names)
    if isinstance(action.nargs, int):
        return " ".join([names] * action.nargs)
    forms = {"+": f"{names}...", "*": f"[{names}...]", "?": f"[{names}]"}
    return forms.get(str(action.nargs), names)
