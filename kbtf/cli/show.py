"""``kbtf show``: what BTF modules have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.cli._common import for_each
from kbtf.cli._json import print_json
from kbtf.cli._table import print_table

if TYPE_CHECKING:
    import argparse

    from kbtf.elf.module import Module

DESCRIPTION = """\
Show what BTF modules have: plain or distilled, whether .BTF_ids is resolved, the kernel that they
were built for, signature and compression.  Needs no base."""
EXAMPLE = """\
  kbtf show mymodule.ko
  kbtf show --json /lib/modules/*/updates/dkms/*.ko*"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("modules", nargs="+", metavar="MODULE")
    parser.add_argument("--json", action="store_true", help="print a JSON document")


def run(args: argparse.Namespace) -> int:
    from kbtf.elf.module import Module

    rows: list[dict[str, Any]] = []
    code = for_each(
        args.modules, lambda path: rows.append(describe(Module.open(path))), debug=args.debug
    )
    if args.json:
        print_json({"modules": rows})
    elif rows:
        print_descriptions(rows)
    return code


def print_descriptions(rows: list[dict[str, Any]]) -> None:
    """A table of what describe() says of modules."""
    print_table(
        ("MODULE", "BTF", "BTF.base", "BTF_ids", "SIGNED", "COMPRESSED", "KERNEL"),
        [_cells(row) for row in rows],
    )


def describe(module: Module) -> dict[str, Any]:
    """What BTF a module has, and what else decides whether it can be used."""
    from kbtf.btf_ids import read_ids
    from kbtf.elf.module import located

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
        f"{row['btf_base_types']} types, {row['btf_base_bytes']} bytes"
        if row["btf_base_bytes"]
        else "-",
        ids,
        "yes" if row["signed"] else "-",
        row["compression"] or "-",
        row["release"] or "unknown",
    )
