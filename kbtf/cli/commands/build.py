# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf build``: Kbuild's out-of-tree build, then the four phases on its modules."""

from __future__ import annotations

import argparse
import os
import sys
from itertools import chain
from typing import TYPE_CHECKING

from kbtf.cli.terminal.outcomes import print_outcome, run_each
from kbtf.errors import UsageError
from kbtf.files.paths import require_distinct
from kbtf.hooks.options import Config
from kbtf.kbuild.build import Build, Request
from kbtf.kbuild.kdir import default_kdir, require_kdir
from kbtf.kbuild.make import object_directory, sort_words
from kbtf.kbuild.step import record
from kbtf.run.options import add_run_options

if TYPE_CHECKING:
    from kbtf.cli.session import Session
    from kbtf.hooks.manager import Manager
    from kbtf.hooks.options import OptionGroup
    from kbtf.run.outcome import Outcome

# This program itself, whatever its name and whatever directory make runs it in.
_PROGRAM = (sys.executable, "-P", "-m", "kbtf", "build")

DESCRIPTION = """\
Build external modules with Kbuild and add resilient BTF, whether or not the kernel build
directory has a vmlinux.  Use it in place of 'make -C KDIR M=DIR modules'.

Arguments with a '=' are make variables (V=1, LLVM=1, KBUILD_EXTRA_SYMBOLS=...), other arguments
after DIR are make targets.  'clean' and 'modules_install' are passed to make.  Arguments after
'--' are passed to make unchanged.  Modules that did not change are neither linked nor written
again; other options or another base regenerate their BTF."""
EXAMPLE = """\
  kbtf build
  kbtf build -C /lib/modules/6.12.0/build -j 4 driver/ LLVM=1
  kbtf build --work out --module mine -o mine.ko --depfile mine.ko.d ."""


def options(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] [DIR] [make variables and targets] [-- make options]"
    parser.add_argument(
        "words",
        nargs="*",
        metavar="DIR",
        help="the source directory (default: the current one); make variables and targets can "
        "follow",
    )
    parser.add_argument(
        "--work",
        metavar="DIR",
        help="build in DIR, through symbolic links to the sources, instead of in the source "
        "directory",
    )
    parser.add_argument("--module", metavar="NAME", help="the module that -o copies")
    parser.add_argument("-o", dest="output", metavar="FILE", help="copy the module to FILE")
    parser.add_argument(
        "--symvers",
        metavar="FILE",
        help="copy Module.symvers to FILE, for KBUILD_EXTRA_SYMBOLS of other modules",
    )
    parser.add_argument(
        "--raw", action="store_true", help="leave modules as linked, for 'kbtf run'"
    )
    parser.add_argument(
        "--depfile", metavar="FILE", help="write the dependencies of the result, for make and ninja"
    )
    # Kbuild's BTF step: the module is the last argument, the outcome goes to DIR.
    parser.add_argument("--step", metavar="DIR", help=argparse.SUPPRESS)
    verbosity = parser.add_mutually_exclusive_group()
    verbosity.add_argument("-q", "--quiet", action="store_true", help="print only errors")
    verbosity.add_argument("-v", "--verbose", action="store_true", help="print notes too")


TAKES_REST = True  # make's options


def settings(group: OptionGroup) -> None:
    add_run_options(group)
    group.options["kdir"] = group.options["kdir"]._replace(default=default_kdir())
    texts = {
        "jobs": "number of jobs for make and kbtf; 0 for one on each CPU",
        "dry-run": "print make's command line and build nothing",
    }
    for key, text in texts.items():
        group.options[key].kwargs["help"] = text


def run(parsed: argparse.Namespace, session: Session) -> int:
    config, manager = session.config, session.manager
    if parsed.step:
        return _step(parsed, config, manager)
    if bool(parsed.module) != bool(parsed.output):
        raise UsageError("--module and -o go together")
    written = [parsed.output, parsed.symvers, parsed.depfile]
    require_distinct(written, [config["base"], *config.files])
    flags = [] if config["jobs"] is None else [f"-j{config['jobs'] or os.cpu_count()}"]
    flags += ["-s"] if parsed.quiet else []
    request = Request(
        words=sort_words(parsed.words),
        arguments=(*flags, *session.rest),
        work=parsed.work,
        module=parsed.module,
        output=parsed.output,
        symvers=parsed.symvers,
        raw=parsed.raw,
        depfile=parsed.depfile,
    )
    require_kdir(config["kdir"])
    objects = config.changed("kdir", object_directory(config["kdir"], parsed.words))

    def phases(done: list[Outcome], left: list[str]) -> list[Outcome]:
        return _phases(done, left, parsed, objects, manager)

    return Build(
        request, config, session.settings.options, [*_PROGRAM, *session.words], phases
    ).run()


def _step(parsed: argparse.Namespace, config: Config, manager: Manager) -> int:
    """Run the phases on the module that Kbuild just linked, with the options of the build."""
    path = parsed.words[-1]
    (outcome,) = run_each([(path, path)], manager, config, debug=parsed.debug)
    record(parsed.step, outcome)
    return outcome.exit_code


def _phases(
    done: list[Outcome],
    left: list[str],
    parsed: argparse.Namespace,
    config: Config,
    manager: Manager,
) -> list[Outcome]:
    outcomes = []
    pairs = zip(left, left, strict=True)
    for outcome in chain(done, run_each(pairs, manager, config, debug=parsed.debug)):
        outcomes.append(outcome)
        if outcome.status != "unchanged" or parsed.verbose:  # make is silent too
            print_outcome(outcome, quiet=parsed.quiet, verbose=parsed.verbose)
    return outcomes
