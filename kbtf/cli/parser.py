# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Parsers for kbtf's own commands and those of plugins."""

from __future__ import annotations

import argparse
import os
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from kbtf.cli.command import COMMANDS, find
from kbtf.say import complain

if TYPE_CHECKING:
    from collections.abc import Iterable

_WIDEST = 100
"""Columns: longer lines are hard to read."""
_NARROWEST = 11
"""Columns: as argparse has it."""
_FIRST_STEPS = """\
usage: kbtf COMMAND ...

  kbtf doctor          report what a build would do here and what is missing
  kbtf build           build the modules in this directory and add resilient BTF
  kbtf run MODULE...   add resilient BTF to modules that are already built

'kbtf --help' lists all commands, 'kbtf demo' shows what kbtf does to a module.
"""


def _formatter(prog: str) -> argparse.HelpFormatter:
    # argparse would get the width from shutil, which imports four compressors
    return argparse.RawDescriptionHelpFormatter(prog, width=_width())


def _wrapped(text: str | None) -> str | None:
    """Paragraphs as wide as the terminal; examples are unchanged, for copying."""
    if text is None:
        return None
    import textwrap

    return "\n\n".join(
        paragraph
        if paragraph.startswith("example:")
        else textwrap.fill(" ".join(paragraph.split()), _width(), break_on_hyphens=False)
        for paragraph in text.split("\n\n")
    )


def _width() -> int:
    return max(_NARROWEST, min(_terminal_width(), _WIDEST) - 2)


def _terminal_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


class _Parser(argparse.ArgumentParser):
    """Reports errors on one line, as the rest of kbtf does; refuses abbreviated options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["formatter_class"] = _formatter
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)

    def format_help(self) -> str:
        self.description, self.epilog = _wrapped(self.description), _wrapped(self.epilog)
        return super().format_help()

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, unknown = self.parse_known_args(args, namespace)
        self._refuse(unknown)
        self._refuse_empty(parsed)
        return parsed

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        # First, because argparse would report a missing argument before a misspelt option.
        self._refuse([word for word in takewhile("--".__ne__, args) if self._is_unknown(word)])
        parsed, unknown = self.parse_known_intermixed_args(_protected(args), namespace)
        self._refuse(unknown)
        self._refuse_empty(parsed)
        return parsed

    def _is_unknown(self, word: str) -> bool:
        """Whether *word* is an option to argparse, but not a known one."""
        option = word.partition("=")[0] if word.startswith("--") else word[:2]
        if option[:1] != "-" or option[1:2] in "0123456789" or " " in word:
            return False
        return option not in _flags_of(self)

    def _refuse(self, unknown: list[str]) -> None:
        if not unknown:
            return
        options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        if not options:
            self.error(f"too many arguments: {' '.join(unknown)}")
        option = options[0]
        self.error(f"unknown option {option}{meant(option, _flags_of(self))}")

    def _refuse_empty(self, parsed: argparse.Namespace) -> None:
        """Refuse ``--option ""``, in scripts the sign of a variable that is not set."""
        for action in arguments_of(self):
            value = getattr(parsed, action.dest, None)
            values = value if isinstance(value, list) else [value]
            if "" in values and value != action.default:
                self.error(
                    f"{'/'.join(action.option_strings) or action.metavar or action.dest} is empty"
                )

    def error(self, message: str) -> Any:
        complain(f"kbtf: error: {message}; see '{self.prog} --help'")
        self.exit(2)


# argparse has no public names for what the next two return.
def arguments_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """All options and positional arguments, those in groups too."""
    return parser._actions


def summaries_of(subparsers: Any) -> dict[str, str]:
    """The help of each command, by name."""
    return {action.dest: action.help or "" for action in subparsers._choices_actions}


def _flags_of(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in arguments_of(parser) for flag in action.option_strings}


def _protected(args: list[str]) -> list[str]:
    """*args* with ``./`` before the names after ``--`` that start with a dash.

    argparse drops the ``--`` in the first of its two passes, and takes such a name for an option in
    the second one.
    """
    at = args.index("--") if "--" in args else len(args)
    names = (
        f"./{word}" if word.startswith("-") and word != "-" else word for word in args[at + 1 :]
    )
    return [*args[: at + 1], *names]


def meant(word: str, known: Iterable[str]) -> str:
    """The *known* word that *word* is probably a misspelling of; may be empty."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one of kbtf's own commands, without options of plugins."""
    command = find(name)
    parser = _Parser(
        prog=f"kbtf {name}",
        description=command.DESCRIPTION,
        epilog=f"example:\n{command.EXAMPLE}",
    )
    command.options(parser)
    if "--json" in _flags_of(parser):
        parser.epilog = f"{parser.epilog}\n\n'kbtf schema {name}' describes the JSON document."
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def parse_own(name: str, args: list[str]) -> int:
    """Run one of kbtf's own commands."""
    command: Any = find(name)
    parser = command_parser(name)
    if hasattr(command, "settings"):
        from kbtf.cli.session import run_configured

        return int(run_configured(command, parser, args))
    return int(command.run(parser.parse_intermixed_args(args)))


def parse_any(args: list[str]) -> argparse.Namespace | int:
    """Parse a command that only a plugin can provide, or a request for help."""
    if not args:
        for line in _FIRST_STEPS.splitlines():
            complain(line)
        return 2
    parser, subparsers = root_parser()
    word = next((word for word in args if not word.startswith("-")), None)
    if word is not None and word not in subparsers.choices:
        parser.error(f"unknown command {word}{meant(word, subparsers.choices)}")
    parsed: argparse.Namespace = parser.parse_args(args)
    if not hasattr(parsed, "run"):
        parser.error("no command is given")
    return parsed


def root_parser() -> tuple[argparse.ArgumentParser, Any]:
    """The parser of ``kbtf`` itself and its commands; those of plugins have their parsers."""
    parser = _Parser(
        prog="kbtf",
        description="Resilient split BTF for out-of-tree Linux kernel modules.",
        epilog="example:\n  kbtf run mymodule.ko\n\n'kbtf COMMAND --help' describes a command.",
    )
    parser.add_argument("-V", "--version", action="store_true", help="show the version")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, text in COMMANDS.items():
        subparsers.add_parser(name, help=text, add_help=False)
    _add_plugin_commands(subparsers)
    return parser, subparsers


def _add_plugin_commands(subparsers: Any) -> None:
    """The commands of installed plugins; the passes that come with kbtf add none."""
    from kbtf.hooks.installed import installed_plugins

    if not any(installed_plugins()):
        return
    from kbtf.hooks.manager import make_manager

    make_manager().call("kbtf_add_commands", subparsers=subparsers)
