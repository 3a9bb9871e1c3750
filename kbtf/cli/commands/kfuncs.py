# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf kfuncs``: list the kfuncs of modules or a kernel, and find those that kernels refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kbtf.cli.common import add_base
from kbtf.cli.inputs import find_modules
from kbtf.cli.terminal.as_json import print_json
from kbtf.errors import BaseError, BaseNotFoundError, UsageError
from kbtf.say import say, say_text

if TYPE_CHECKING:
    import argparse

    from kbtf.bpf.kfuncs import Entry, Group, Kfuncs
    from kbtf.btf.btf import Btf
    from kbtf.elf.module import Module
    from kbtf.findings.finding import Finding
    from kbtf.run.base_finder import BaseFinder

DESCRIPTION = """\
Show the sets and lists in the .BTF_ids of modules: each kfunc with its id, flags and prototype.
Audit them by the kernel's rules, so that you see mistakes before a module or a BPF program fails
to load.

For raw BTF, such as the files in /sys/kernel/btf, list the functions with bpf_kfunc tags.
A module with .BTF.base needs no base; with one, names are compared with the kernel's too.  Exit
code 1: the kernel would refuse to register a set, or every call of a kfunc.

Given a kernel, audit the BTF of its own kfuncs: functions, tags, implicit arguments, duplicates.
The audit is complete only for a vmlinux with .BTF_ids.  --compare shows the changes between two
kernels, modules or directories of modules that affect BPF programs.  Exit code 1: something
breaks."""
EXAMPLE = """\
  kbtf kfuncs mymodule.ko
  kbtf kfuncs --with helper.ko --base /boot/vmlinuz-6.12.0 mymodule.ko
  kbtf kfuncs /usr/src/linux-headers-6.12.0/vmlinux
  kbtf kfuncs --compare old/vmlinux new/vmlinux"""


class _Audited(NamedTuple):
    module: str
    kfuncs: Kfuncs
    findings: list[Finding]
    notes: list[str]
    """On how its base was found."""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="a module, or a kernel")
    parser.add_argument(
        "--compare", nargs=2, metavar=("OLD", "NEW"), help="show changes that affect BPF programs"
    )
    parser.add_argument(
        "--against", metavar="OLD", help="list the kfuncs that a kernel lost since OLD"
    )
    add_base(
        parser,
        "the vmlinux of the modules' kernel: ELF, compressed kernel or raw BTF "
        "(default: $KBTF_BASE, else the one found for their release)",
    )
    parser.add_argument(
        "-C",
        "--kdir",
        metavar="KDIR",
        help="the kernel build directory; its vmlinux is tried first",
    )
    parser.add_argument(
        "--with",
        "--module",
        dest="others",
        action="append",
        default=[],
        metavar="MODULE",
        help="another module that will be loaded, to find names that both have; repeatable",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON document")
    form.add_argument("--tap", action="store_true", help="print the comparison as TAP")
    form.add_argument("--junit", action="store_true", help="print the comparison as JUnit XML")
    parser.add_argument("--no-cache", action="store_true", help="do not cache unpacked kernels")
    parser.add_argument("-v", "--verbose", action="store_true", help="print notes too")


def run(args: argparse.Namespace) -> int:
    from kbtf.cli.common import for_each
    from kbtf.cli.kfunc_sides import audit_kernel_file, compare_sides, is_kernel_file
    from kbtf.findings.finding import Severity

    _require_sense(args)
    finder = _finder(args)
    if args.compare:
        return compare_sides(args, lambda path: _open(path, finder))
    documents: list[dict[str, Any]] = []
    unsound: list[bool] = []

    def audit_kernel(path: str) -> None:
        document, bad = audit_kernel_file(path, args)
        documents.append(document)
        unsound.append(bad)

    named = [path for path, _ in find_modules(args.modules)]
    kernels = [path for path in named if is_kernel_file(path)]
    modules = [path for path in named if path not in kernels]
    opened: dict[str, Module] = {}
    opening = for_each(
        [*modules, *args.others],
        lambda path: opened.update({path: _open(path, finder)}),
        debug=args.debug,
    )
    if args.against is not None and not opened.keys().isdisjoint(modules):
        raise UsageError("--against is for kernels")
    code = max(opening, for_each(kernels, audit_kernel, debug=args.debug))
    audited: list[_Audited] = []

    def audit_one(path: str) -> None:
        audited.append(_audit(opened[path], opened))

    paths = [path for path in dict.fromkeys(modules) if path in opened]
    code = max(code, for_each(paths, audit_one, debug=args.debug))
    if args.json:
        print_json({"modules": [_document(one) for one in audited], "kernels": documents})
    else:
        for one in audited:
            _print(one, verbose=args.verbose)
    found = (finding for one in audited for finding in one.findings)
    refused = any(finding.severity is Severity.ERROR for finding in found)
    return max(code, int(refused or any(unsound)))


def _require_sense(args: argparse.Namespace) -> None:
    if args.compare and (args.modules or args.others or args.against):
        raise UsageError("--compare takes two sides and nothing else")
    if not args.compare and not args.modules:
        raise UsageError("no module or kernel is named")
    if not args.compare and (args.tap or args.junit):
        raise UsageError("--tap and --junit are for --compare")


def _finder(args: argparse.Namespace) -> BaseFinder:
    from kbtf.hooks.options import Config
    from kbtf.run.base_finder import BaseFinder

    return BaseFinder(Config({"base": args.base, "kdir": args.kdir, "no-cache": args.no_cache}))


def _open(path: str, finder: BaseFinder) -> Module:
    from kbtf.elf.module import Module
    from kbtf.run.base_finder import other_release

    module = Module.open_to_read(path, find_base=finder.find)
    if module.has_btf and not module.has_btf_base:
        what = other_release(module.found_base, module)
        if what:
            raise BaseError(what, file=path, hint="name the right base with --base")
    _ = module.btf  # bad input is reported here
    return module


def _audit(module: Module, opened: dict[str, Module]) -> _Audited:
    from kbtf.bpf.audit.rules import audit
    from kbtf.bpf.kfuncs import read_kfuncs
    from kbtf.findings.kfuncs import KFUNCS

    kfuncs = read_kfuncs(module)
    others = {
        path: other.btf
        for path, other in opened.items()
        if other is not module and other.btf is not None
    }
    vmlinux = _vmlinux(module)
    findings = audit(kfuncs, vmlinux, others)
    if vmlinux is None and any(group.kind.has_kfuncs for group in kfuncs.groups):
        findings.append(KFUNCS.finding("no-base"))
    return _Audited(module.path, kfuncs, findings, module.notes)


def _vmlinux(module: Module) -> Btf | None:
    """The kernel's BTF; None if it is missing and not needed to read the module."""
    if not module.has_btf:
        return None
    try:
        return module.base
    except BaseNotFoundError:
        return None


def _document(one: _Audited) -> dict[str, Any]:
    btf = "distilled" if one.kfuncs.is_distilled else "plain"
    return {
        "module": one.module,
        "btf": btf if one.kfuncs.btf is not None else None,
        "sets": [_group_row(group) for group in one.kfuncs.groups],
        "findings": [finding.as_dict() for finding in one.findings],
    }


def _group_row(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "kind": group.kind.value,
        "resolved": group.is_resolved,
        "entries": [_entry_row(group, entry) for entry in group.entries],
    }


def _entry_row(group: Group, entry: Entry) -> dict[str, Any]:
    from kbtf.ids.kfunc_flags import flag_names, unknown_bits

    row: dict[str, Any] = {
        "name": entry.name or None,
        "kind": entry.kind.name.lower() if entry.kind is not None else None,
        "id": entry.id,
        "prototype": entry.prototype,
    }
    if group.kind.has_flags:
        unknown = unknown_bits(entry.flags)
        row["flags"] = flag_names(entry.flags)
        row["unknown_flags"] = f"{unknown:#x}" if unknown else None
    return row


def _print(one: _Audited, *, verbose: bool) -> None:
    from kbtf.cli.terminal.table import print_table
    from kbtf.findings.finding import Severity
    from kbtf.report.colour import wants_colour
    from kbtf.report.words import finding_line
    from kbtf.say import visible

    say(visible(one.module))
    rows = [row for group in one.kfuncs.groups for row in _rows(group)]
    if rows:
        print_table(("  SET", "KIND", "ID", "FLAGS", "WHAT"), rows)
    else:
        say("  no sets or lists")
    for finding in one.findings:
        if verbose or finding.severity is not Severity.NOTE:
            say_text(f"  {finding_line(finding, colour=wants_colour())}\n")
    for note in one.notes if verbose else ():
        say(f"  {note}")


def _rows(group: Group) -> list[tuple[str, ...]]:
    from kbtf.bpf.kfuncs import GroupKind
    from kbtf.say import visible

    begin = (f"  {visible(group.name) or '?'}", group.kind.value)
    none = "?" if group.kind is GroupKind.TAGGED else "-"
    return [(*begin, *_cells(entry, none)) for entry in group.entries] or [
        (*begin, "-", "-", "(empty)")
    ]


def _cells(entry: Entry, none: str) -> tuple[str, ...]:
    from kbtf.ids.kfunc_flags import spell_flags
    from kbtf.say import visible

    kind = entry.kind.name.lower() if entry.kind is not None else ""
    what = entry.prototype or f"{kind} {entry.name}".strip() or "?"
    return str(entry.id or "-"), spell_flags(entry.flags) or none, visible(what)
