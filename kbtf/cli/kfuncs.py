"""``kbtf kfuncs``: what modules offer to BPF programs, and what kernels will refuse of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kbtf.cli._json import print_json
from kbtf.errors import BaseError, BaseNotFoundError
from kbtf.record import NamedTuple

if TYPE_CHECKING:
    import argparse

    from kbtf.bpf.kfuncs import Entry, Group, Kfuncs
    from kbtf.btf.btf import Btf
    from kbtf.check.model import Finding
    from kbtf.elf.module import Module
    from kbtf.host.bases import BaseFinder

DESCRIPTION = """\
Show the sets and lists in the .BTF_ids of modules: each kfunc with its id, flags and prototype.
And audit them by the rules of the kernel, which on the running system would be an error at load
time, or a BPF program that does not load.

A module that has .BTF.base needs no base; with one, names are compared with the kernel's too.
Exit code 1: the kernel would refuse to register a set, or every call of some kfunc."""
EXAMPLE = """\
  kbtf kfuncs mymodule.ko
  kbtf kfuncs --with helper.ko --base /boot/vmlinuz-6.12.0 mymodule.ko"""


class _Audited(NamedTuple):
    module: str
    kfuncs: Kfuncs
    findings: list[Finding]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("modules", nargs="+", metavar="MODULE")
    parser.add_argument(
        "--base",
        metavar="B",
        help="the vmlinux of the kernel that has the modules: ELF, compressed kernel or raw BTF "
        "(default: $KBTF_BASE, else what is found for their release)",
    )
    parser.add_argument(
        "-C", "--kdir", metavar="KDIR", help="a kernel build directory, whose vmlinux comes first"
    )
    parser.add_argument(
        "--with",
        "--module",
        dest="others",
        action="append",
        default=[],
        metavar="MODULE",
        help="another module that will be loaded, for names that both have; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument("--no-cache", action="store_true", help="keep nothing that was unpacked")
    parser.add_argument("-v", "--verbose", action="store_true", help="print notes too")


def run(args: argparse.Namespace) -> int:
    from kbtf.check.model import Severity
    from kbtf.cli._common import for_each

    finder = _finder(args)
    opened: dict[str, Module] = {}
    code = for_each(
        [*args.modules, *args.others],
        lambda path: opened.update({path: _open(path, finder)}),
        debug=args.debug,
    )
    audited: list[_Audited] = []

    def audit_one(path: str) -> None:
        audited.append(_audit(opened[path], opened))

    paths = [path for path in dict.fromkeys(args.modules) if path in opened]
    code = max(code, for_each(paths, audit_one, debug=args.debug))
    if args.json:
        print_json({"modules": [_document(one) for one in audited]})
    else:
        for one in audited:
            _print(one, verbose=args.verbose)
    found = (finding for one in audited for finding in one.findings)
    return max(code, int(any(finding.severity is Severity.ERROR for finding in found)))


def _finder(args: argparse.Namespace) -> BaseFinder:
    from kbtf.host.bases import BaseFinder
    from kbtf.host.config import Config

    base = args.base or os.environ.get("KBTF_BASE")
    return BaseFinder(Config({"base": base, "kdir": args.kdir, "no-cache": args.no_cache}))


def _open(path: str, finder: BaseFinder) -> Module:
    from kbtf.elf.module import Module

    module = Module.open(path, find_base=finder.find)
    if module.has_btf and not module.has_btf_base:
        _require_own_base(module)
    _ = module.btf  # bad input is told here
    return module


def _require_own_base(module: Module) -> None:
    base = module.found_base
    if base.release is None or module.release in (None, base.release):
        return
    raise BaseError(
        f"was built for {module.release}, the base {base.source} is {base.release}'s",
        file=module.path,
        hint="name the right base with --base",
    )


def _audit(module: Module, opened: dict[str, Module]) -> _Audited:
    from kbtf.bpf.audit import audit
    from kbtf.bpf.kfuncs import read_kfuncs
    from kbtf.check.model import Finding, Severity

    kfuncs = read_kfuncs(module)
    others = {
        path: other.btf
        for path, other in opened.items()
        if other is not module and other.btf is not None
    }
    vmlinux = _vmlinux(module)
    findings = audit(kfuncs, vmlinux, others)
    if vmlinux is None and any(group.kind.has_kfuncs for group in kfuncs.groups):
        text = "no base was found: names were not compared with those of vmlinux"
        findings.append(Finding(Severity.NOTE, "no-base", text, hint="name it with --base"))
    return _Audited(module.path, kfuncs, findings)


def _vmlinux(module: Module) -> Btf | None:
    """The kernel's BTF; None if it is not needed to read the module and not there."""
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
        "findings": [
            {
                "severity": finding.severity.value,
                "code": finding.code,
                "symbol": finding.type,
                "text": finding.text,
                "hint": finding.hint,
            }
            for finding in one.findings
        ],
    }


def _group_row(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "kind": group.kind.value,
        "resolved": group.is_resolved,
        "entries": [_entry_row(group, entry) for entry in group.entries],
    }


def _entry_row(group: Group, entry: Entry) -> dict[str, Any]:
    from kbtf.kfunc_flags import flag_names, unknown_bits

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
    from kbtf.check.model import Severity
    from kbtf.cli._table import print_table
    from kbtf.report.words import sentence, visible

    print(visible(one.module))
    rows = [row for group in one.kfuncs.groups for row in _rows(group)]
    if rows:
        print_table(("  SET", "KIND", "ID", "FLAGS", "WHAT"), rows)
    else:
        print("  no sets or lists")
    for finding in one.findings:
        if verbose or finding.severity is not Severity.NOTE:
            print(f"  {finding.severity.value} [{finding.code}]: {sentence(finding)}")


def _rows(group: Group) -> list[tuple[str, ...]]:
    from kbtf.report.words import visible

    begin = (f"  {visible(group.name)}", group.kind.value)
    return [(*begin, *_cells(entry)) for entry in group.entries] or [(*begin, "-", "-", "(empty)")]


def _cells(entry: Entry) -> tuple[str, ...]:
    from kbtf.kfunc_flags import spell_flags
    from kbtf.report.words import visible

    kind = entry.kind.name.lower() if entry.kind is not None else ""
    what = entry.prototype or f"{kind} {entry.name}".strip() or "?"
    return str(entry.id or "-"), spell_flags(entry.flags) or "-", visible(what)
