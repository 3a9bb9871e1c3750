"""``kbtf check``: will the BTF of modules load on these kernels?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kbtf.cli._inputs import add_modules, find_modules
from kbtf.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from kbtf.check.kernel import KernelSet
    from kbtf.check.model import Result
    from kbtf.host.config import Config
    from kbtf.host.manager import Manager

DESCRIPTION = """\
Tell, before shipping, on which kernels the BTF of modules will load, and why not where it will not.

A kernel is a vmlinux, a compressed kernel or raw BTF; a release, looked for on this machine; or a
directory of kernels.  Without --kernel, each module is checked against the kernel it was built for.
Exit code 0: all ok, perhaps with warnings; 1: some kernel rejects some module's BTF."""
EXAMPLE = """\
  kbtf check mymodule.ko
  kbtf check --kernel /boot --html report.html updates/*.ko
  kbtf check -j 8 --kernel kernels/ build/
  kbtf check --deep --built-against old/vmlinuz --kernel new/vmlinuz mymodule.ko"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_modules(parser)
    parser.add_argument(
        "--kernel",
        dest="kernels",
        action="append",
        default=[],
        metavar="K",
        help="a kernel's file, its release, or a directory of kernels; may be repeated",
    )
    parser.add_argument(
        "--deep",
        action="store_true",
        help="compare the definitions of all types that the modules reach, members included",
    )
    parser.add_argument(
        "--built-against",
        metavar="B",
        help="for --deep: the vmlinux that the modules were built for",
    )
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="print a JSON document")
    formats.add_argument("--tap", action="store_true", help="print TAP, as meson test reads it")
    formats.add_argument("--junit", action="store_true", help="print JUnit XML")
    parser.add_argument("--html", metavar="FILE", help="write a page with the whole matrix too")
    parser.add_argument("--no-cache", action="store_true", help="keep nothing that was unpacked")
    verbosity = parser.add_mutually_exclusive_group()
    verbosity.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing if all is fine"
    )
    verbosity.add_argument("-v", "--verbose", action="store_true", help="print notes too")


def run_with_plugins(parser: argparse.ArgumentParser, words: list[str]) -> int:
    from kbtf.check.kernel import KernelSet
    from kbtf.cli._executor import load_executors

    args, config, manager = load_executors(parser, words)
    if args.deep != bool(args.built_against):
        raise UsageError("--deep and --built-against go together")
    kernels = KernelSet(cache=not args.no_cache)
    for wanted in args.kernels:
        kernels.get(wanted)  # a kernel that is not there is no matter of the modules
    results = [result for each in _check_all(args, config, manager, kernels) for result in each]
    _report(results, args)
    return exit_code(results)


def _check_all(
    args: argparse.Namespace, config: Config, manager: Manager, kernels: KernelSet
) -> Iterator[list[Result]]:
    from kbtf.cli import print_warning
    from kbtf.cli._check_task import CheckModules, RemoteCheck
    from kbtf.cli._progress import progress
    from kbtf.host.batch import Jobs, run_local, size_of

    paths = [path for path, _ in find_modules(args.modules)]
    sizes = [size_of(path) for path in paths]
    task = CheckModules(paths, args, kernels)
    # comparing definitions takes both bases, and is left to this machine
    executor = None if args.deep else manager.call("kbtf_executor", config=config)
    with progress(paths) as watch:
        if executor is None:
            yield from run_local(task, sizes, Jobs(config["jobs"], print_warning), watch)
        else:
            from kbtf.host.remote import run_on

            yield from run_on(executor, RemoteCheck(task), sizes, watch)


def exit_code(results: list[Result]) -> int:
    """1 if a verdict is negative, or that of what could not be read; else 0."""
    from kbtf.check.model import Verdict

    negative = any(result.verdict is Verdict.REJECTED for result in results)
    return max([int(negative), *(result.exit_code for result in results)])


def _report(results: list[Result], args: argparse.Namespace) -> None:
    from importlib import import_module

    if args.html:
        from kbtf.elf.write import replace_file
        from kbtf.report import html

        replace_file(args.html, html.render(results).encode())
    for name in ("json", "tap", "junit"):
        if getattr(args, name):
            module = import_module(f"kbtf.report.{'as_' if name == 'json' else ''}{name}")
            sys.stdout.write(module.render(results))
            return
    from kbtf.report import table

    if not args.quiet or any(result.verdict.is_bad for result in results):
        colour = table.wants_colour(sys.stdout)
        sys.stdout.write(table.render(results, verbose=args.verbose, colour=colour))
