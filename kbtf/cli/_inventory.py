"""What each command takes, as data: for completion, manual pages and the reference."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from kbtf.cli import COMMANDS
from kbtf.cli._parser import command_parser, root_parser
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    from typing import NoReturn

# What to offer for a value, by its placeholder in the help; files for all others.
_FOLDERS = frozenset({"DIR", "KDIR"})
_NO_FILES = frozenset({"HASH", "N", "NAME", "R", "SECTION", "TYPE"})


class Argument(NamedTuple):
    """An option, or a word that a command takes."""

    flags: tuple[str, ...]
    """``-o``, ``--output``; none of a word."""
    metavar: str
    """The placeholders of its values as help shows them; empty for a switch."""
    values: str
    """What they are: ``files``, ``folders``, ``words``, or ``none`` of a switch."""
    choices: tuple[str, ...]
    help: str


class Command(NamedTuple):
    """A command, with the options that plugins give it."""

    name: str
    summary: str
    usage: str
    description: str
    example: str
    arguments: tuple[Argument, ...]
    json: bool
    """It has ``--json``."""

    @property
    def options(self) -> list[Argument]:
        return [argument for argument in self.arguments if argument.flags]

    @property
    def words(self) -> list[Argument]:
        return [argument for argument in self.arguments if not argument.flags]


class _CompleteError(Exception):
    """The parser has all its options."""


def inventory() -> list[Command]:
    """All commands, those of installed plugins last.

    The current directory's configuration is not read.
    """
    own = [_own(name, summary) for name, summary in COMMANDS.items()]
    _, subparsers = root_parser()
    helps = {action.dest: action.help or "" for action in subparsers._choices_actions}
    added = [
        _command(name, helps.get(name, ""), parser)
        for name, parser in subparsers.choices.items()
        if name not in COMMANDS
    ]
    return own + added


def complete_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one of kbtf's own commands, with the options that plugins add."""

    def stop(*_: object) -> NoReturn:
        raise _CompleteError

    parser = command_parser(name)
    module = import_module(f"kbtf.cli.{name}")
    if hasattr(module, "run_with_plugins"):
        # It parses once all options are there, whichever they are.
        for method in ("parse_args", "parse_intermixed_args"):
            setattr(parser, method, stop)
        with suppress(_CompleteError):
            module.run_with_plugins(parser, ["--config", os.devnull])
    return parser


def _own(name: str, summary: str) -> Command:
    module = import_module(f"kbtf.cli.{name}")
    command = _command(name, summary, complete_parser(name))
    return command._replace(description=module.DESCRIPTION, example=module.EXAMPLE)


def _command(name: str, summary: str, parser: argparse.ArgumentParser) -> Command:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
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
    """One line for each form; without the names of the options."""
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
