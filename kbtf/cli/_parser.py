"""Parsers for kbtf's own commands and for those that plugins add."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from typing import Any

from kbtf.cli import COMMANDS


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """As argparse's own, which asks shutil for the width and so loads four compressors."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_terminal_width() - 2)


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

    def error(self, message: str) -> Any:
        self.exit(2, f"kbtf: error: {message}; see '{self.prog} --help'\n")


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one of kbtf's own commands, without what plugins add."""
    module = import_module(f"kbtf.cli.{name}")
    parser = _Parser(
        prog=f"kbtf {name}",
        description=f"{module.DESCRIPTION}",
        epilog=f"example:\n{module.EXAMPLE}",
    )
    module.add_arguments(parser)
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
    if not args:
        parser.print_help()
        return 2
    parsed = parser.parse_args(args)
    if not hasattr(parsed, "run"):
        parser.error("which command?")
    return parsed


def _add_plugin_commands(subparsers: Any) -> None:
    from kbtf.host.manager import make_manager

    make_manager().call("kbtf_add_commands", subparsers=subparsers)
