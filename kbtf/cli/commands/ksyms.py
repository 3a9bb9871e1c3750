# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf ksyms``: link the externs of a BPF object against a kernel and modules, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.cli.common import base_from_environment
from kbtf.cli.terminal.as_json import print_json
from kbtf.cli.terminal.table import print_table
from kbtf.say import complain, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from kbtf.bpf.insns import Written
    from kbtf.bpf.kernel import Target
    from kbtf.bpf.ksyms import Linking
    from kbtf.bpf.limits import Limit
    from kbtf.bpf.resolve import Resolution

DESCRIPTION = """\
Predict how a loader resolves the .ksyms externs of a BPF object: where each kfunc and variable is
found, its type id and index into the array of module BTFs, and what is written into the
instructions; or why it is not found, with both prototypes.

The kernel is the BTF of a vmlinux in any form.  Give modules in the order in which they are
loaded.  Exit code 0: everything is found, or weak and tested before it is called; 1: the
object or one of its programs will not load, on one of the kernels if --base is repeated; --json
then prints an array."""
EXAMPLE = """\
  kbtf ksyms --base /sys/kernel/btf/vmlinux --module mymodule.ko myprogram.bpf.o
  kbtf ksyms --base snapshot/vmlinux --module snapshot/ myprogram.bpf.o
  kbtf ksyms --base vmlinuz --module a.ko --module b.ko --loader light --json myprogram.bpf.o"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("object", metavar="PROG.bpf.o", help="an object of BPF programs")
    default = base_from_environment()
    parser.add_argument(
        "--base",
        dest="bases",
        action="append",
        required=default is None,
        metavar="FILE",
        help="the vmlinux of a kernel to load on; may be repeated (default: $KBTF_BASE)",
    )
    parser.add_argument(
        "--module",
        dest="modules",
        action="append",
        default=[],
        metavar="M.ko",
        help="a module that is loaded there, raw BTF from /sys/kernel/btf, or a directory of "
        "them; repeatable, in the order of loading",
    )
    parser.add_argument(
        "--loader",
        choices=("libbpf", "light"),
        default="libbpf",
        help="libbpf (default), or the program in a light skeleton (bpftool gen skeleton -L)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="do not accept a constant (const volatile) as a test for a weak kfunc",
    )
    parser.add_argument("--no-cache", action="store_true", help="do not cache unpacked kernels")
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="print what is written into each instruction"
    )


def run(args: argparse.Namespace) -> int:
    from kbtf.bpf.kernel import make_target
    from kbtf.bpf.ksyms import link
    from kbtf.bpf.object import read_object
    from kbtf.bpf.resolve import Loader
    from kbtf.cli.inputs import find_modules
    from kbtf.elf.files import read_module
    from kbtf.elf.module import Module
    from kbtf.errors import located
    from kbtf.kernel.base import open_base

    bpf = read_object(read_module(args.object), args.object)
    paths = [found.path for found in find_modules(args.modules)] if args.modules else []
    documents = []
    refused = False
    for path in args.bases or [base_from_environment()]:
        base = open_base(path, cache=not args.no_cache)
        target = make_target(base, map(Module.open_to_read, paths))
        with located(args.object):
            linking = link(bpf, target, Loader(args.loader), strict=args.strict)
        refused |= linking.is_refused_somewhere
        documents.append(_document(args.object, path, linking, target))
        if not args.json:
            if len(args.bases or ()) > 1:
                say(f"{path}:")
            _print(linking, verbose=args.verbose)
    if args.json:
        print_json(documents[0] if len(documents) == 1 else documents)
    return int(refused)


def _document(bpf: str, base: str, linking: Linking, target: Target) -> dict[str, Any]:
    providers = [{"name": m.name, "why_refused": None} for m in target.modules]
    providers += [{"name": n, "why_refused": why} for n, why in target.refused.items()]
    return {
        "object": bpf,
        "base": base,
        "loader": linking.loader.value,
        "loads": not linking.is_refused_somewhere,
        "modules": providers,
        "externs": [_row(linking, found) for found in linking.resolutions],
        "limits": [{**limit._asdict(), "exceeded": limit.is_exceeded} for limit in linking.limits],
        "findings": [finding.as_dict() for finding in linking.findings],
    }


def _row(linking: Linking, found: Resolution) -> dict[str, Any]:
    return {
        "number": found.number,
        "name": found.extern.name,
        "looked_for": found.name,
        "kind": found.extern.kind.name,
        "weak": found.extern.is_weak,
        "status": found.status.value,
        "found_in": found.found_in.name if found.found_in is not None else None,
        "type_id": found.type_id or None,
        "fd_index": found.fd_index,
        "kfunc": found.is_kfunc,
        "kfunc_set": found.in_set,
        "reason": found.reason or None,
        "difference": found.difference,
        "declared": found.declared,
        "actual": found.actual or None,
        "also_in": list(found.also_in),
        "instructions": [row._asdict() for row in linking.written[found.number]],
    }


def _print(linking: Linking, *, verbose: bool) -> None:
    from kbtf.report.words import sentence

    print_table(
        ("EXTERN", "KIND", "FOUND IN", "TYPE ID", "FD INDEX", "OFF", "KFUNC SET"),
        [_cells(linking, found) for found in linking.resolutions],
    )
    for found in linking.resolutions:
        for line in _details(linking, found, verbose):
            say(line)
    for line in _limits(linking.limits):
        say(line)
    for finding in linking.findings:
        complain(f"kbtf: {finding.severity.value}: {sentence(finding)}")


def _cells(linking: Linking, found: Resolution) -> tuple[object, ...]:
    extern = found.extern
    calls = [row for row in linking.written[found.number] if row.is_call]
    resolved = found.status.value == "resolved" and found.found_in is not None
    sets = {None: "unknown", False: "none", True: found.in_set or "yes"}
    return (
        extern.name,
        f"weak {extern.kind.name}" if extern.is_weak else extern.kind.name,
        found.found_in.name if resolved and found.found_in is not None else found.status.value,
        found.type_id or "-",
        _numbers(row.slot for row in calls) if resolved else "-",
        _numbers(row.off for row in calls) if resolved else "-",
        sets[found.is_kfunc] if resolved and extern.kind.name == "FUNC" else "-",
    )


def _numbers(values: Iterable[int | None]) -> str:
    """The distinct *values*, ascending."""
    return ", ".join(map(str, sorted({v for v in values if v is not None}))) or "-"


def _details(linking: Linking, found: Resolution, verbose: bool) -> Iterator[str]:
    """Why an extern was not resolved, and the contents of the instructions that use it."""
    rows = linking.written[found.number]
    is_left = found.status.value == "missing"
    if not (found.reason or verbose):
        return
    yield f"{found.extern.name}: {found.reason or found.status.value}"
    if found.actual:
        provider = found.found_in.name if found.found_in is not None else ""
        width = max(len("program"), len(provider))
        yield f"    {'program':{width}}  {found.declared}"
        yield f"    {provider:{width}}  {found.actual}"
    elif found.declared:
        yield f"    program  {found.declared}"
    guarded = {row.program for row in rows if not row.is_call}
    for row in rows if verbose or is_left else ():
        yield f"    {_instruction(row)}{_fate(row, guarded) if is_left else ''}"


def _instruction(row: Written) -> str:
    where = f"{row.program}, instruction {row.insn}"
    if row.is_call:
        off = "?" if row.off is None else row.off
        return f"{where}: call, src_reg {row.src_reg}, imm {row.imm}, off {off}"
    fd = "the module's fd" if row.next_imm is None else row.next_imm
    return f"{where}: address, src_reg {row.src_reg}, imm {row.imm}, then {fd}"


def _fate(row: Written, guarded: set[str]) -> str:
    """What the verifier does with the instructions of a missing extern."""
    if not row.is_call:
        return "; its address is 0"
    what = "removed" if row.src_reg else "poisoned: removed"
    tested = " (the program tests its address)" if row.program in guarded else ""
    return f"; {what} if the verifier finds it unreachable{tested}, else refused"


def _limits(found: list[Limit]) -> Iterator[str]:
    """For each limit, the program that is nearest to it, and all that exceed it."""
    most: dict[str, Limit] = {}
    for limit in found:
        if limit.is_exceeded:
            yield f"{limit.program}: {limit.used} {limit.what}, over the limit of {limit.most}"
        elif limit.what not in most or limit.used > most[limit.what].used:
            most[limit.what] = limit
    for limit in most.values():
        yield f"{limit.what}: at most {limit.used} per program, limit {limit.most}"
