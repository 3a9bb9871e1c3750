"""``kbtf completion``: what a shell completes behind ``kbtf``."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

SHELLS = ("bash", "zsh", "fish")
DESCRIPTION = """\
Print a script that makes a shell complete the commands of kbtf, their options, those of installed
plugins too, and what these take.  Packages and wheels install it where shells look; the examples
are for a kbtf that lies elsewhere, such as in a virtual environment."""
EXAMPLE = """\
  eval "$(kbtf completion bash)"            # in ~/.bashrc
  eval "$(kbtf completion zsh)"             # in ~/.zshrc, behind compinit
  kbtf completion fish > ~/.config/fish/completions/kbtf.fish"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)


def run(args: argparse.Namespace) -> int:
    sys.stdout.write(script(args.shell))
    return 0


def script(shell: str) -> str:
    """The script for one of SHELLS."""
    from kbtf.cli._inventory import inventory

    text: str = import_module(f"kbtf.cli._completion_{shell}").render(inventory())
    return text
