# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf demo``: run the main commands on a module and a base that come with kbtf."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import kbtf
from kbtf.cli.commands.show import describe, print_descriptions
from kbtf.cli.common import require_place, write_file
from kbtf.cli.terminal.messages import print_warning
from kbtf.elf.files import read_file
from kbtf.elf.module import Module
from kbtf.hooks.manager import make_manager
from kbtf.hooks.options import OptionGroup
from kbtf.run.base_finder import BaseFinder
from kbtf.run.config import merge
from kbtf.run.pipeline import run_module
from kbtf.say import say

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Run the four phases on a small kernel module that comes with kbtf, and show the module's BTF
before and after.  Needs no kernel headers and changes nothing."""
EXAMPLE = """\
  kbtf demo
  kbtf demo -o /tmp        # keep the resulting module"""

_FOLDER = os.path.join(os.path.dirname(kbtf.__file__), "demo")
_MODULE = "kfunc_module.ko"
_BASE = "vmlinux.btf.xz"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        dest="output",
        metavar="DIR",
        help="keep the resulting module in DIR, which is created",
    )


def run(args: argparse.Namespace) -> int:
    if args.output:
        require_place(args.output)
    with tempfile.TemporaryDirectory(prefix="kbtf-demo-") as folder:
        path = os.path.join(folder, _MODULE)
        shutil.copyfile(os.path.join(_FOLDER, _MODULE), path)
        say("A module with BTF as pahole makes it: its types refer to those of vmlinux by number,")
        say("so they are valid for one build of the kernel only. .BTF_ids is not resolved yet.")
        say("", f"$ kbtf show {_MODULE}")
        _show(path)
        say("", f"$ kbtf run --base {_BASE} {_MODULE}")
        _run_phases(path)
        say("", f"$ kbtf show {_MODULE}")
        _show(path)
        say("", "The kernel finds the types of .BTF.base by name when it loads the module.")
        if args.output:
            kept = os.path.join(args.output, _MODULE)
            os.makedirs(args.output, exist_ok=True)
            write_file(kept, read_file(path))
            say(f"Kept as {kept}.")
    say("", "For a module of your own, in its directory:")
    say("  make -C /lib/modules/$(uname -r)/build M=$PWD modules")
    say("  kbtf run mymodule.ko")
    return 0


def _show(path: str) -> None:
    print_descriptions([describe(Module.open(path)) | {"module": _MODULE}])


def _run_phases(path: str) -> None:
    from kbtf.cli.terminal.outcomes import summary
    from kbtf.run.options import add_run_options

    group = OptionGroup()
    add_run_options(group)
    manager = make_manager(())
    manager.call("kbtf_add_options", group=group)
    config = merge(group, {"base": os.path.join(_FOLDER, _BASE), "no-cache": True}, None, {})
    outcome = run_module(path, path, manager, config, BaseFinder(config))
    for warning in outcome.warnings:
        print_warning(warning)
    say(f"{_MODULE}: {summary(outcome)}")
