# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf check``: predict whether kernels accept the BTF of modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli.inputs import add_modules, find_modules
from kbtf.errors import BaseNotFoundError, UsageError
from kbtf.run.options import add_jobs
from kbtf.say import say_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from kbtf.check.kernel import Kernel, KernelSet
    from kbtf.check.result import Result
    from kbtf.cli.session import Session
    from kbtf.hooks.manager import Manager
    from kbtf.hooks.options import Config, OptionGroup

DESCRIPTION = """\
Predict which kernels accept the BTF of modules, and explain why others reject it.

A kernel is a vmlinux, a compressed kernel or raw BTF; a release installed on this machine; or a
directory of kernels.  Without --kernel, each module is checked against the kernel it was built
for.  Exit code 0: all ok, perhaps with warnings; 1: a kernel rejects a module's BTF, or a module
has none."""
EXAMPLE = """\
  kbtf check mymodule.ko
  kbtf check --kernel /boot --html report.html updates/*.ko
  kbtf check -j 8 --kernel kernels/ build/
  kbtf check --deep --built-against old/vmlinuz --kernel new/vmlinuz mymodule.ko"""


def options(parser: argparse.ArgumentParser) -> None:
    add_modules(parser)
    parser.add_argument(
        "--kernel",
        dest="kernels",
        action="append",
        default=[],
        metavar="K",
        help="a kernel's file, its release, or a directory of kernels; repeatable",
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
    parser.add_argument("--html", metavar="FILE", help="also write an HTML page with all results")
    parser.add_argument("--no-cache", action="store_true", help="do not cache unpacked kernels")
    verbosity = parser.add_mutually_exclusive_group()
    verbosity.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing if all is fine"
    )
    verbosity.add_argument("-v", "--verbose", action="store_true", help="print notes too")


ONLY_WITH = "kbtf_executor"  # check runs no passes


def settings(group: OptionGroup) -> None:
    add_jobs(group)


def run(args: argparse.Namespace, session: Session) -> int:
    from kbtf.check.kernel import KernelSet
    from kbtf.cli.terminal.messages import print_warning

    config, manager = session.config, session.manager
    if args.deep != bool(args.built_against):
        raise UsageError("--deep and --built-against go together")
    kernels = KernelSet(cache=not args.no_cache)
    for wanted in args.kernels:
        kernels.get(wanted)  # a missing kernel is not an error of the modules
    built_against = _built_against(kernels, args.built_against) if args.deep else None
    for error in kernels.passed_over:
        print_warning(f"{error}; passed over")
    checked = _check_all(args, config, manager, kernels, built_against)
    results = [result for each in checked for result in each]
    _report(results, args)
    return exit_code(results)


def _built_against(kernels: KernelSet, named: str) -> Kernel:
    try:
        found = kernels.get(named)
    except BaseNotFoundError as error:
        error.hint = "name the modules' vmlinux, vmlinuz or raw BTF with --built-against"
        raise
    if len(found) > 1:
        raise UsageError(
            f"--built-against is one kernel, and {named} has {len(found)}",
            hint=f"name one of {', '.join(kernel.source for kernel in found)}",
        )
    return found[0]


def _check_all(
    args: argparse.Namespace,
    config: Config,
    manager: Manager,
    kernels: KernelSet,
    built_against: Kernel | None,
) -> Iterator[list[Result]]:
    from kbtf.check.task import CheckModules
    from kbtf.cli.terminal.messages import print_warning
    from kbtf.cli.terminal.progress import progress
    from kbtf.files.paths import require_distinct
    from kbtf.jobs.run import Jobs, run_task, size_of
    from kbtf.say import complain_of_traceback

    paths = [path for path, _ in find_modules(args.modules)]
    if args.html:
        opened = [kernel.source for wanted in args.kernels for kernel in kernels.get(wanted)]
        opened += [built_against.source] if built_against else []
        require_distinct([args.html], [*paths, *opened, *config.files])
    sizes = [size_of(path) for path in paths]
    on_error = complain_of_traceback if args.debug else lambda: None
    task = CheckModules(paths, kernels, args.kernels, built_against, on_error)
    # comparing definitions needs both bases, so it is done on this machine
    executor = None if args.deep else manager.call("kbtf_executor", config=config)
    with progress(paths) as watch:
        yield from run_task(task, sizes, Jobs(config["jobs"], print_warning), executor, watch)


def exit_code(results: list[Result]) -> int:
    """1 if a verdict is negative; the code of the error if something could not be read; else 0."""
    negative = any(result.verdict.is_bad for result in results if not result.exit_code)
    return max([int(negative), *(result.exit_code for result in results)])


def _report(results: list[Result], args: argparse.Namespace) -> None:
    from importlib import import_module

    if args.html:
        from kbtf.cli.common import write_file
        from kbtf.files.paths import require_distinct
        from kbtf.report import html

        require_distinct([args.html], [result.source for result in results])  # found for modules
        write_file(args.html, html.render(results).encode())
    for name in ("json", "tap", "junit"):
        if getattr(args, name):
            module = import_module(f"kbtf.report.{'as_' if name == 'json' else ''}{name}")
            say_text(module.render(results))
            return
    from kbtf.report import table
    from kbtf.report.colour import wants_colour

    if not args.quiet or any(result.verdict.is_bad for result in results):
        say_text(table.render(results, verbose=args.verbose, colour=wants_colour()))
