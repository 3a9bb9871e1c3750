"""Parsers for kbtf's own commands and for those that plugins add."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from kbtf.cli import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable

# For each of its few words argparse looks for a translation, of which there are none: 3 ms.
argparse._ = str  # type: ignore[attr-defined]

_WIDEST = 100
"""Columns: longer lines are hard to read."""
_FIRST_STEPS = """\
usage: kbtf COMMAND ...

  kbtf doctor          tell what a build would do here, and what is missing
  kbtf build           build the modules of this directory, and give them resilient BTF
  kbtf run MODULE...   give modules that are built already resilient BTF

'kbtf --help' lists all commands, 'kbtf demo' shows what they are good for.
"""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """As argparse's own, which asks shutil for the width and so loads four compressors."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=min(_terminal_width(), _WIDEST) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Paragraphs as wide as the terminal; examples as they are, for they are copied."""
        import textwrap

        paragraphs = text.split("\n\n")
        return "\n\n".join(
            paragraph
            if paragraph.startswith("example:")
            else textwrap.fill(" ".join(paragraph.split()), width, break_on_hyphens=False)
            for paragraph in paragraphs
        )


def _terminal_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


class _Parser(argparse.ArgumentParser):
    """Errors in one line, as all others of ours; abbreviated options are refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["formatter_class"] = _Formatter
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, unknown = self.parse_known_args(args, namespace)
        self._refuse(unknown)
        return parsed

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        # First, for argparse tells of an argument that is missing before it tells of a slip.
        self._refuse(
            [word for word in takewhile("--".__ne__, args or ()) if self._is_unknown(word)]
        )
        parsed, unknown = self.parse_known_intermixed_args(args, namespace)
        self._refuse(unknown)
        return parsed

    def _is_unknown(self, word: str) -> bool:
        """Whether *word* is an option, as argparse sees it, and none of ours."""
        option = word.partition("=")[0] if word.startswith("--") else word[:2]
        if option[:1] != "-" or option[1:2] in "0123456789" or " " in word:
            return False
        return option not in self._option_string_actions

    def _refuse(self, unknown: list[str]) -> None:
        if not unknown:
            return
        options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        if not options:
            self.error(f"too many arguments: {' '.join(unknown)}")
        option = options[0]
        self.error(f"unknown option {option}{meant(option, self._option_string_actions)}")

    def error(self, message: str) -> Any:
        self.exit(2, f"kbtf: error: {message}; see '{self.prog} --help'\n")


def meant(word: str, known: Iterable[str]) -> str:
    """The one of the words that are *known* that *word* is probably a slip for; may be empty."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one of kbtf's own commands, without what plugins add."""
    module = import_module(f"kbtf.cli.{name}")
    parser = _Parser(
        prog=f"kbtf {name}",
        description=module.DESCRIPTION,
        epilog=f"example:\n{module.EXAMPLE}",
    )
    module.add_arguments(parser)
    if "--json" in parser._option_string_actions:
        parser.epilog = f"{parser.epilog}\n\n'kbtf schema {name}' describes the JSON document."
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def parse_own(name: str, args: list[str]) -> int:
    """Run one of kbtf's own commands."""
    module = import_module(f"kbtf.cli.{name}")
    parser = command_parser(name)
    if hasattr(module, "run_with_plugins"):
        return int(module.run_with_plugins(parser, args))
    return int(module.run(parser.parse_intermixed_args(args)))


def parse_any(args: list[str]) -> argparse.Namespace | int:
    """Parse a command that only a plugin can have, or ask for help."""
    if not args:
        sys.stderr.write(_FIRST_STEPS)
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
    """The parser of ``kbtf`` itself, and its commands, those of plugins with their parsers."""
    parser = _Parser(
        prog="kbtf",
        description="Resilient split BTF for out-of-tree Linux kernel modules.",
        epilog="example:\n  kbtf run mymodule.ko\n\n'kbtf COMMAND --help' says more of each.",
    )
    parser.add_argument("-V", "--version", action="store_true", help="show the version")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, text in COMMANDS.items():
        subparsers.add_parser(name, help=text, add_help=False)
    _add_plugin_commands(subparsers)
    return parser, subparsers


def _add_plugin_commands(subparsers: Any) -> None:
    """Those of installed plugins; the passes that come with kbtf add none."""
    from kbtf.host.installed import installed_plugins

    if not any(installed_plugins()):
        return
    from kbtf.host.manager import make_manager

    make_manager().call("kbtf_add_commands", subparsers=subparsers)
