"""``kbtf demo``: the main job on a module and a base that come with kbtf."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from kbtf.cli import print_warning
from kbtf.cli.show import describe, print_descriptions
from kbtf.elf.module import Module
from kbtf.host.bases import BaseFinder
from kbtf.host.config import OptionGroup, merge
from kbtf.host.manager import make_manager
from kbtf.host.pipeline import run_module

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Run the four phases on a small kernel module and the BTF of its kernel, which come with kbtf, and
show what the module had before and has after.  Needs no kernel headers and changes nothing."""
EXAMPLE = """\
  kbtf demo
  kbtf demo -o /tmp        # keep the resulting module"""

_FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "demo")
_MODULE = "kfunc_module.ko"
_BASE = "vmlinux.btf.xz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", dest="output", metavar="DIR", help="keep the resulting module there")


def run(args: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="kbtf-demo-") as folder:
        path = os.path.join(folder, _MODULE)
        shutil.copyfile(os.path.join(_FOLDER, _MODULE), path)
        print(
            "A module as its build leaves it where BTF is made: types refer to vmlinux by number,"
        )
        print(
            "so that they are good for one build of the kernel; .BTF_ids is still to be resolved."
        )
        print(f"\n$ kbtf show {_MODULE}")
        _show(path)
        print(f"\n$ kbtf run --base {_BASE} {_MODULE}")
        _run_phases(path)
        print(f"\n$ kbtf show {_MODULE}")
        _show(path)
        print("\nThe kernel finds the types of .BTF.base by name when it loads the module.")
        if args.output:
            shutil.copyfile(path, os.path.join(args.output, _MODULE))
            print(f"Kept as {os.path.join(args.output, _MODULE)}.")
    print("\nFor a module of your own, in its directory:")
    print("  make -C /lib/modules/$(uname -r)/build M=$PWD modules")
    print("  kbtf run mymodule.ko")
    return 0


def _show(path: str) -> None:
    print_descriptions([describe(Module.open(path)) | {"module": _MODULE}])


def _run_phases(path: str) -> None:
    from kbtf.cli._outcomes import summary
    from kbtf.cli.run import add_options

    group = OptionGroup()
    add_options(group)
    manager = make_manager(())
    manager.call("kbtf_add_options", group=group)
    config = merge(group, {"base": os.path.join(_FOLDER, _BASE), "no-cache": True}, None, {})
    outcome = run_module(path, path, manager, config, BaseFinder(config))
    for warning in outcome.warnings:
        print_warning(warning)
    print(f"{_MODULE}: {summary(outcome)}")
