# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf kfuncs`` for kernels, and for comparing two sides."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kbtf.bpf.offer import is_kernel, kernel_offers, module_offers
from kbtf.cli.inputs import find_modules
from kbtf.cli.terminal.as_json import print_json
from kbtf.errors import KbtfError
from kbtf.report.colour import wants_colour
from kbtf.report.words import finding_line, plural
from kbtf.say import say, say_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from kbtf.bpf.offer import Offers
    from kbtf.elf.module import Module
    from kbtf.findings.finding import Finding


def compare_sides(args: argparse.Namespace, open_module: Callable[[str], Module]) -> int:
    """Print the changes for programs from OLD to NEW; return 1 if something breaks."""
    from kbtf.bpf.compare import Compatibility, compare, verdict
    from kbtf.cli.terminal import changes as report

    old, new = (_offers(path, args, open_module) for path in args.compare)
    changes = compare(old, new)
    if args.json:
        print_json(report.document(old.source, new.source, changes))
    elif args.tap:
        say_text(report.tap(changes))
    elif args.junit:
        say_text(report.junit(changes))
    else:
        say_text(report.text(changes, verbose=args.verbose))
    return int(verdict(changes) is Compatibility.BREAKING)


def _offers(path: str, args: argparse.Namespace, open_module: Callable[[str], Module]) -> Offers:
    if is_kernel(path):
        return kernel_offers(path, cache=not args.no_cache)[1]
    return module_offers(path, [open_module(found.path) for found in find_modules([path])])


def audit_kernel_file(path: str, args: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Audit a kernel, print the result unless JSON is wanted; the document, and if it is bad."""
    from kbtf.bpf.soundness import audit_kernel, lost_functions
    from kbtf.findings.finding import Severity

    base, offers = kernel_offers(path, cache=not args.no_cache)
    findings = audit_kernel(base.btf, offers)
    lost: list[str] | None = None
    if args.against is not None:
        old, old_offers = kernel_offers(args.against, cache=not args.no_cache)
        lost = lost_functions(old.btf, base.btf)
        findings += _lost_kfuncs(old_offers, offers)
    if not args.json:
        _print(path, offers, findings, lost, verbose=args.verbose)
    bad = any(finding.severity is Severity.ERROR for finding in findings)
    return _document(path, base.release, offers, findings, lost), bad


def _lost_kfuncs(old: Offers, new: Offers) -> list[Finding]:
    from kbtf.findings.kernel import KERNEL

    lost = (name for name in old.kfuncs if name not in new.kfuncs)
    return [KERNEL.finding("kernel-lost", type=name) for name in lost]


def _print(
    path: str, offers: Offers, findings: list[Finding], lost: list[str] | None, *, verbose: bool
) -> None:
    sets = {name for offer in offers.kfuncs.values() for name in offer.sets}
    known = f"in {plural(len(sets), 'set')}" if offers.has_sets else "by their tags, without flags"
    say(f"{path}: {plural(len(offers.kfuncs), 'kfunc')} {known}")
    for finding in findings:
        say_text(f"  {finding_line(finding, colour=wants_colour())}\n")
    if lost is not None:
        say(f"  lost {plural(len(lost), 'function')} of the old kernel")
        for name in lost if verbose else ():
            say(f"    {name}")


def _document(
    path: str,
    release: str | None,
    offers: Offers,
    findings: list[Finding],
    lost: list[str] | None,
) -> dict[str, Any]:
    from kbtf.ids.kfunc_flags import flag_names

    return {
        "kernel": path,
        "release": release,
        "has_sets": offers.has_sets,
        "kfuncs": [
            {
                "name": offer.name,
                "sets": list(offer.sets),
                "flags": None if offer.flags is None else flag_names(offer.flags),
                "id": None if offer.func is None else offer.func.id,
            }
            for offer in offers.kfuncs.values()
        ],
        "findings": [finding.as_dict() for finding in findings],
        "lost_functions": lost,
    }


def is_kernel_file(path: str) -> bool:
    """Whether *path* is a file known not to be a module; other problems are reported on opening."""
    try:
        return os.path.isfile(path) and is_kernel(path)
    except KbtfError:
        return False
