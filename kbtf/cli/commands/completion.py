# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf completion``: print a shell completion script."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kbtf.say import say_text

if TYPE_CHECKING:
    import argparse

SHELLS = ("bash", "zsh", "fish")
DESCRIPTION = """\
Print a completion script for kbtf's commands and options, including those of installed plugins.
Packages and wheels install it where shells look for it; the examples are for a kbtf installed
elsewhere, such as in a virtual environment."""
EXAMPLE = """\
  eval "$(kbtf completion bash)"            # in ~/.bashrc
  eval "$(kbtf completion zsh)"             # in ~/.zshrc, after compinit
  kbtf completion fish > ~/.config/fish/completions/kbtf.fish"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="the shell that runs the script")


def run(args: argparse.Namespace) -> int:
    say_text(script(args.shell))
    return 0


def script(shell: str) -> str:
    """The script for one of SHELLS."""
    from kbtf.cli.inventory import inventory

    text: str = import_module(f"kbtf.cli.completion.{shell}").render(inventory())
    return text
