"""``kbtf check``: will the BTF of modules load on these kernels?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kbtf.errors import KbtfError, UsageError, os_error

if TYPE_CHECKING:
    import argparse

    from kbtf.check.kernel import Kernel, KernelSet
    from kbtf.check.model import Result
    from kbtf.elf.module import Module

DESCRIPTION = """\
Tell, before shipping, on which kernels the BTF of modules will load, and why not where it will not.

A kernel is a vmlinux, a compressed kernel or raw BTF; a release, looked for on this machine; or a
directory of kernels.  Without --kernel, each module is checked against the kernel it was built for.
Exit code 0: all ok, perhaps with warnings; 1: some kernel rejects some module's BTF."""
EXAMPLE = """\
  kbtf check mymodule.ko
  kbtf check --kernel /boot --html report.html updates/*.ko
  kbtf check --deep --built-against old/vmlinuz --kernel new/vmlinuz mymodule.ko"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("modules", nargs="+", metavar="MODULE")
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


def run(args: argparse.Namespace) -> int:
    from kbtf.check.kernel import KernelSet

    if args.deep != bool(args.built_against):
        raise UsageError("--deep and --built-against go together")
    kernels = KernelSet(cache=not args.no_cache)
    for wanted in args.kernels:
        kernels.get(wanted)  # a kernel that is not there is no matter of the modules
    results = [result for path in args.modules for result in _check(path, args, kernels)]
    _report(results, args)
    return exit_code(results)


def exit_code(results: list[Result]) -> int:
    """1 if a verdict is negative, or that of what could not be read; else 0."""
    from kbtf.check.model import Verdict

    negative = any(result.verdict is Verdict.REJECTED for result in results)
    return max([int(negative), *(result.exit_code for result in results)])


def _check(path: str, args: argparse.Namespace, kernels: KernelSet) -> list[Result]:
    """One module against all kernels; one that cannot be read does not stop the others."""
    from kbtf.check.judge import failed, judge
    from kbtf.elf.module import Module

    try:
        module = Module.open(path)
        wanted = args.kernels or [_own_release(module)]
        found = {k.source: k for name in wanted for k in kernels.get(name)}
        results = [judge(module, kernel) for kernel in found.values()]
        if args.deep:
            results = _deepen(module, results, list(found.values()), args, kernels)
        return results
    except (KbtfError, OSError) as error:
        if args.debug:
            from kbtf.cli import print_traceback

            print_traceback()
        known = error if isinstance(error, KbtfError) else os_error(error, path)
        return [failed(path, known)]


def _own_release(module: Module) -> str:
    if module.release is None:
        raise KbtfError(
            "it does not say which kernel it was built for (no vermagic)",
            file=module.path,
            hint="name kernels with --kernel",
        )
    return module.release


def _deepen(
    module: Module,
    results: list[Result],
    found: list[Kernel],
    args: argparse.Namespace,
    kernels: KernelSet,
) -> list[Result]:
    """Add what comparing the definitions in both bases finds, where the kernel takes the BTF."""
    from kbtf.check.deep import compare_deep
    from kbtf.check.model import BtfFate, worst
    from kbtf.check.plain import plain_on

    (old,) = kernels.get(args.built_against)
    split = plain_on(module, old.btf)
    deepened = []
    for result, kernel in zip(results, found, strict=True):
        if split is None or result.btf is not BtfFate.ACCEPTED:
            deepened.append(result)
            continue
        known = {(finding.code, finding.type) for finding in result.findings}
        more = [
            f for f in compare_deep(split, old.btf, kernel.btf) if (f.code, f.type) not in known
        ]
        findings = (*result.findings, *more)
        deepened.append(result._replace(findings=findings, verdict=worst(findings)))
    return deepened


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
