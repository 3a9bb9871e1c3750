# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The command line: one file per command, imported only if that command runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli.command import COMMANDS
from kbtf.say import say
from kbtf.version import VERSION

if TYPE_CHECKING:
    import argparse

    from kbtf.errors import KbtfError


def run(args: list[str]) -> int:
    """Run the command that *args* name; its exit code."""
    if args in (["--version"], ["-V"]):
        say(f"kbtf {VERSION}")
        return 0
    if args[:1] == ["--debug"] and len(args) > 1:
        args = [args[1], "--debug", *args[2:]]
    if args and args[0] in COMMANDS:
        from kbtf.cli.parser import parse_own

        return parse_own(args[0], args[1:])
    from kbtf.cli.parser import parse_any

    parsed: argparse.Namespace | int = parse_any(args)
    if isinstance(parsed, int):
        return parsed
    return int(parsed.run(parsed))


def fail(args: list[str], error: KbtfError) -> int:
    """Print what stopped a command; its exit code."""
    from kbtf.cli.terminal.messages import print_error
    from kbtf.say import complain_of_traceback

    if "--debug" in args:
        complain_of_traceback()
    print_error(error)
    return error.exit_code
