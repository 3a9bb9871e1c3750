# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf show``: show the BTF of modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.cli.common import for_each
from kbtf.cli.inputs import add_modules, find_modules
from kbtf.cli.terminal.as_json import print_json
from kbtf.cli.terminal.table import print_table
from kbtf.say import counted, say

if TYPE_CHECKING:
    import argparse

    from kbtf.elf.compile_units import CompileUnit
    from kbtf.elf.module import Module

DESCRIPTION = """\
Show the BTF of modules: plain or distilled, whether .BTF_ids is resolved, the kernel they were
built for, signature and compression; with -v also their compile units, as DWARF names them.
Needs no base.

MODULE may also be raw BTF from /sys/kernel/btf, or a directory of modules or of such files."""
EXAMPLE = """\
  kbtf show mymodule.ko
  kbtf show -v mymodule.ko
  kbtf show --json /lib/modules/*/updates/dkms/*.ko*"""


def options(parser: argparse.ArgumentParser) -> None:
    add_modules(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="list compile units: compiler, language, DWARF"
    )


def run(args: argparse.Namespace) -> int:
    from kbtf.elf.module import Module

    rows: list[dict[str, Any]] = []

    def add(path: str) -> None:
        module = Module.open_to_read(path)
        row = describe(module)
        if args.verbose:
            row["compile_units"] = [unit._asdict() for unit in _compile_units(module)]
        rows.append(row)

    code = for_each([path for path, _ in find_modules(args.modules)], add, debug=args.debug)
    if args.json:
        print_json({"modules": rows})
    elif rows:
        print_descriptions(rows)
        if args.verbose:
            _print_units(rows)
    return code


def _compile_units(module: Module) -> list[CompileUnit]:
    from kbtf.elf.compile_units import compile_units
    from kbtf.errors import located

    if module.is_raw_btf:
        return []
    with located(module.path):
        return compile_units(module.image.to_bytes())


def _print_units(rows: list[dict[str, Any]]) -> None:
    units = [(row["module"], unit) for row in rows for unit in row["compile_units"]]
    say("")
    if not units:
        say("no compile units: DWARF is missing or was stripped")
        return
    print_table(
        ("MODULE", "UNIT", "COMPILER", "LANGUAGE", "DWARF"),
        [
            (
                module,
                unit["name"] or "-",
                (unit["compiler"] or "-").partition(" -")[0],
                unit["language"] or "-",
                f"{unit['dwarf_version']}{', split' if unit['is_split'] else ''}",
            )
            for module, unit in units
        ],
    )


def print_descriptions(rows: list[dict[str, Any]]) -> None:
    """A table of the results of describe()."""
    print_table(
        ("MODULE", "BTF", "BTF.base", "BTF_ids", "SIGNED", "COMPRESSED", "KERNEL"),
        [_cells(row) for row in rows],
    )


def describe(module: Module) -> dict[str, Any]:
    """The BTF of a module, and the other facts that decide whether it can be used."""
    from kbtf.errors import located
    from kbtf.ids.btf_ids import read_ids

    with located(module.path):
        ids = read_ids(module.image)
    distilled = module.has_btf_base
    return {
        "module": module.path,
        "name": module.name,
        "btf": ("distilled" if distilled else "plain") if module.has_btf else None,
        "btf_bytes": len(module.image.data(".BTF") or b""),
        "btf_types": len(module.btf) if distilled and module.btf is not None else None,
        "btf_base_bytes": len(module.image.data(".BTF.base") or b""),
        "btf_base_types": len(module.btf_base) if module.btf_base is not None else None,
        "btf_ids": len(ids.id_words) if ids else None,
        "sets": [id_set.name for id_set in ids.sets] if ids else [],
        "resolved": ids.is_resolved if ids else None,
        "signed": module.signature is not None,
        "compression": module.compression,
        "intree": module.intree,
        "release": module.release,
        "vermagic": module.vermagic,
    }


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    ids = "-"
    if row["btf_ids"] is not None:
        ids = f"{row['btf_ids']} {'resolved' if row['resolved'] else 'unresolved'}"
    return (
        row["module"],
        f"{row['btf']}, {row['btf_bytes']} bytes" if row["btf"] else "-",
        f"{counted(row['btf_base_types'], 'type')}, {row['btf_base_bytes']} bytes"
        if row["btf_base_bytes"]
        else "-",
        ids,
        "yes" if row["signed"] else "-",
        row["compression"] or "-",
        row["release"] or "unknown",
    )
