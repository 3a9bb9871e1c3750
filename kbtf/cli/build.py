"""``kbtf build``: Kbuild's out-of-tree build, then the four phases on its modules."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbtf.cli._options import load
from kbtf.cli._outcomes import print_outcome, run_each
from kbtf.cli.run import add_options
from kbtf.errors import UsageError
from kbtf.host.config import OptionGroup
from kbtf.kbuild.build import Build, Request
from kbtf.kbuild.kdir import default_kdir, require_kdir
from kbtf.kbuild.make import sort_words

if TYPE_CHECKING:
    import argparse

    from kbtf.host.config import Config
    from kbtf.host.manager import Manager
    from kbtf.host.pipeline import Outcome

DESCRIPTION = """\
Build external modules with Kbuild and give them resilient BTF, whether or not the kernel build
directory has a vmlinux.  In place of 'make -C KDIR M=DIR modules'.

Words with a '=' are variables for make (V=1, LLVM=1, KBUILD_EXTRA_SYMBOLS=...).  So are targets:
'clean' and 'modules_install' are make's alone, and what that strips, compresses or signs is left
as it is.  What stands after '--' goes to make as it is.  What did not change is neither linked
nor written again; other options or another base make the BTF anew."""
EXAMPLE = """\
  kbtf build
  kbtf build -C /lib/modules/6.12.0/build -j 4 driver/ LLVM=1
  kbtf build --work out --module mine -o mine.ko --depfile mine.ko.d ."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] [DIR] [make variables and targets] [-- make options]"
    parser.add_argument(
        "words",
        nargs="*",
        metavar="DIR",
        help="the directory of the sources (default: the current one); make variables and targets",
    )
    parser.add_argument(
        "--work", metavar="DIR", help="build there, with links to the sources, not beside them"
    )
    parser.add_argument("--module", metavar="NAME", help="the one module that -o is for")
    parser.add_argument("-o", dest="output", metavar="FILE", help="copy that module there")
    parser.add_argument(
        "--symvers",
        metavar="FILE",
        help="copy Module.symvers there, for KBUILD_EXTRA_SYMBOLS of other modules",
    )
    parser.add_argument("--raw", action="store_true", help="leave modules as linked, for kbtf run")
    parser.add_argument(
        "--depfile", metavar="FILE", help="write what was built from what, as make and ninja read"
    )
    verbosity = parser.add_mutually_exclusive_group()
    verbosity.add_argument("-q", "--quiet", action="store_true", help="print only errors")
    verbosity.add_argument("-v", "--verbose", action="store_true", help="print notes too")
    # DIR may stand between options, as the words of make may.
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]


def run_with_plugins(parser: argparse.ArgumentParser, args: list[str]) -> int:
    own, for_make = _split(args)
    group = OptionGroup()
    add_options(group)
    group.options["kdir"] = group.options["kdir"]._replace(default=default_kdir())
    jobs = group.options["jobs"]
    jobs.kwargs["help"] = "make's number of jobs, and of modules worked on at once; 0 for the CPUs"
    parsed, config, manager = load(parser, own, group)
    if bool(parsed.module) != bool(parsed.output):
        raise UsageError("--module and -o go together")
    flags = [] if config["jobs"] is None else [f"-j{config['jobs'] or os.cpu_count()}"]
    flags += ["-s"] if parsed.quiet else []
    request = Request(
        words=sort_words(parsed.words),
        arguments=(*flags, *for_make),
        work=parsed.work,
        module=parsed.module,
        output=parsed.output,
        symvers=parsed.symvers,
        raw=parsed.raw,
        depfile=parsed.depfile,
    )
    require_kdir(config["kdir"])

    def phases(modules: list[str]) -> list[Outcome]:
        return _phases(modules, parsed, config, manager)

    return Build(request, config, group.options, phases).run()


def _split(args: list[str]) -> tuple[list[str], list[str]]:
    at = args.index("--") if "--" in args else len(args)
    return args[:at], args[at + 1 :]


def _phases(
    modules: list[str], parsed: argparse.Namespace, config: Config, manager: Manager
) -> list[Outcome]:
    outcomes = []
    pairs = zip(modules, modules, strict=True)
    for outcome in run_each(pairs, manager, config, debug=parsed.debug):
        outcomes.append(outcome)
        if outcome.status != "unchanged" or parsed.verbose:  # of what is up to date make is silent
            print_outcome(outcome, quiet=parsed.quiet, verbose=parsed.verbose)
    made = [outcome for outcome in outcomes if outcome.status == "done" and outcome.base]
    if made and not parsed.quiet and not os.path.exists(os.path.join(config["kdir"], "vmlinux")):
        print(
            f"{config['kdir']} has no vmlinux, for which make alone says 'Skipping BTF "
            f"generation': no harm here, kbtf made the BTF with {made[0].base}"
        )
    return outcomes
