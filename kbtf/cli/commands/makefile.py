# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf makefile``: print the path of the fragment for a module's Makefile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import kbtf.kbuild
from kbtf.say import say

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Print the path of a Makefile fragment.  Including it defines the targets 'modules',
'modules_install' and 'clean', which use 'kbtf build', and $(KBTF_BUILD), which replaces $(MAKE)
-C ... M=... in your own recipes."""
EXAMPLE = """\
  obj-m := mymodule.o
  include $(shell kbtf makefile)"""


def options(parser: argparse.ArgumentParser) -> None:
    """It has no options."""


def run(args: argparse.Namespace) -> int:
    say(os.path.join(os.path.dirname(kbtf.kbuild.__file__), "kbtf.mk"))
    return 0
