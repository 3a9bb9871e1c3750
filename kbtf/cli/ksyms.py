"""``kbtf ksyms``: link the externs of a BPF object against a kernel and modules, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.cli._json import print_json
from kbtf.cli._table import print_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from kbtf.bpf.insns import Written
    from kbtf.bpf.kernel import Target
    from kbtf.bpf.ksyms import Linking
    from kbtf.bpf.limits import Limit
    from kbtf.bpf.resolve import Resolution

DESCRIPTION = """\
Tell what a loader will make of the .ksyms externs of a BPF object: where each kfunc and variable is
found, with which type id and index into the array of module BTFs, what it writes into the
instructions; or why not, with both prototypes.

The kernel is the BTF of a vmlinux, in whatever file it comes; modules count in the order in which
they are given, the one that is loaded first comes first.  Exit code 0: all is found, or weak;
1: the object or one of its programs will not load."""
EXAMPLE = """\
  kbtf ksyms --base /sys/kernel/btf/vmlinux --module mymodule.ko myprogram.bpf.o
  kbtf ksyms --base vmlinuz --module a.ko --module b.ko --loader light --json myprogram.bpf.o"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("object", metavar="PROG.bpf.o")
    parser.add_argument(
        "--base",
        metavar="FILE",
        required=True,
        help="the vmlinux of the kernel that it is to load on",
    )
    parser.add_argument(
        "--module",
        dest="modules",
        action="append",
        default=[],
        metavar="M.ko",
        help="a module that is loaded there; may be repeated, in the order of loading",
    )
    parser.add_argument(
        "--loader",
        choices=("libbpf", "light"),
        default="libbpf",
        help="libbpf (default), or the program in a light skeleton (bpftool gen skeleton -L)",
    )
    parser.add_argument("--no-cache", action="store_true", help="keep nothing that was unpacked")
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="print what is written into each instruction"
    )


def run(args: argparse.Namespace) -> int:
    from kbtf.bpf.kernel import make_target
    from kbtf.bpf.ksyms import link
    from kbtf.bpf.object import read_object
    from kbtf.bpf.resolve import Loader
    from kbtf.elf.module import Module, located, read_file
    from kbtf.elf.vmlinux import open_base

    bpf = read_object(read_file(args.object), args.object)
    base = open_base(args.base, cache=not args.no_cache)
    target = make_target(base, (Module.open(path) for path in args.modules))
    with located(args.object):
        linking = link(bpf, target, Loader(args.loader))
    if args.json:
        print_json(_document(args, linking, target))
    else:
        _print(linking, verbose=args.verbose)
    return int(linking.is_refused_somewhere)


def _document(args: argparse.Namespace, linking: Linking, target: Target) -> dict[str, Any]:
    providers = [{"name": m.name, "why_refused": None} for m in target.modules]
    providers += [{"name": n, "why_refused": why} for n, why in target.refused.items()]
    return {
        "object": args.object,
        "base": args.base,
        "loader": linking.loader.value,
        "loads": not linking.is_refused_somewhere,
        "modules": providers,
        "externs": [_row(linking, found) for found in linking.resolutions],
        "limits": [{**limit._asdict(), "exceeded": limit.is_exceeded} for limit in linking.limits],
        "warnings": linking.warnings,
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
    from kbtf.cli import print_warning

    print_table(
        ("EXTERN", "KIND", "FOUND IN", "TYPE ID", "FD INDEX", "OFF", "KFUNC SET"),
        [_cells(linking, found) for found in linking.resolutions],
    )
    for found in linking.resolutions:
        for line in _details(linking, found, verbose):
            print(line)
    for line in _limits(linking.limits):
        print(line)
    for warning in linking.warnings:
        print_warning(warning)


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
    """The different ones of *values*, ascending."""
    return ", ".join(map(str, sorted({v for v in values if v is not None}))) or "-"


def _details(linking: Linking, found: Resolution, verbose: bool) -> Iterator[str]:
    """Why an extern was not resolved, and what stands in the instructions that use it."""
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
    """What the verifier makes of what is left where an extern is missing."""
    if not row.is_call:
        return "; it is 0"
    what = "pruned" if row.src_reg else "poisoned: pruned"
    tested = ", as a test of its address would make it" if row.program in guarded else ""
    return f"; {what} if the verifier finds it unreachable{tested}, refused if not"


def _limits(found: list[Limit]) -> Iterator[str]:
    """Of each limit the program that is nearest to it, and all that are over it."""
    most: dict[str, Limit] = {}
    for limit in found:
        if limit.is_exceeded:
            yield f"{limit.program}: {limit.used} {limit.what}, {limit.most} are allowed"
        elif limit.what not in most or limit.used > most[limit.what].used:
            most[limit.what] = limit
    for limit in most.values():
        yield f"{limit.what}: at most {limit.used} in a program, {limit.most} are allowed"
