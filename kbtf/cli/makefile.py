"""``kbtf makefile``: where the fragment for a module's Makefile is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import kbtf.kbuild

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Print the path of a makefile fragment.  A module's Makefile that includes it has the targets
'modules', 'modules_install' and 'clean' by way of 'kbtf build', and for recipes of its own
$(KBTF_BUILD), to stand where $(MAKE) -C ... M=... stood."""
EXAMPLE = """\
  obj-m := mymodule.o
  include $(shell kbtf makefile)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(args: argparse.Namespace) -> int:
    print(os.path.join(os.path.dirname(kbtf.kbuild.__file__), "kbtf.mk"))
    return 0
