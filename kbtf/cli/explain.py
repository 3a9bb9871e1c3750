"""``kbtf explain``: why a type is in ``.BTF.base``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.cli._json import print_json
from kbtf.errors import BaseNotFoundError, ElfError

if TYPE_CHECKING:
    import argparse

    from kbtf.btf.btf import Btf
    from kbtf.check.explain import Explanation
    from kbtf.elf.module import Module
    from kbtf.elf.vmlinux import Base

DESCRIPTION = """\
Say why a type is in a module's .BTF.base: the shortest way to it from a function, variable or
struct of the module, and whether its size is pinned: a struct that the module embeds must have the
same size in the kernel that loads it.  A module without .BTF.base is distilled in memory.

TYPE is a name, with or without its keyword: device, 'struct device'.  The exit code is 1 if it is
not in .BTF.base.  MODULE may be raw split BTF, with --base."""
EXAMPLE = """\
  kbtf explain mymodule.ko
  kbtf explain mymodule.ko 'struct device'"""

_MOST_PINS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("module", metavar="MODULE")
    parser.add_argument("type", nargs="?", metavar="TYPE")
    parser.add_argument(
        "--base",
        metavar="FILE",
        help="what the module's BTF stands on, if it has no .BTF.base "
        "(default: what is found for its release)",
    )
    parser.add_argument("--no-cache", action="store_true", help="keep nothing that was unpacked")
    parser.add_argument("--json", action="store_true", help="print a JSON document")


def run(args: argparse.Namespace) -> int:
    from kbtf.check.explain import distilled_form, explain, why_absent
    from kbtf.elf.module import located

    split = _read(args.module, args.base, cache=not args.no_cache)
    with located(args.module, ".BTF"):
        split = distilled_form(split)
        found = explain(split, args.type)
    absent = args.type is not None and not found
    reason = why_absent(split, args.type) if absent else None
    if args.json:
        document = {"module": args.module, "types": [_row(one) for one in found]}
        if absent:
            document["absent"] = reason
        print_json(document)
    elif absent:
        print(f"{args.type} is not in .BTF.base: {reason}")
    for explanation in () if args.json else found:
        _print(explanation)
    return int(absent)


def _row(explanation: Explanation) -> dict[str, Any]:
    return {
        "id": explanation.id,
        "kind": explanation.kind.name,
        "name": explanation.name,
        "size": explanation.size,
        "pinned": explanation.pinned,
        "pins": [pin._asdict() for pin in explanation.pins],
        "chain": list(explanation.chain),
    }


def _print(explanation: Explanation) -> None:
    print(explanation)
    for pin in explanation.pins[:_MOST_PINS]:
        print(f"    pinned by {pin}")
    more = len(explanation.pins) - _MOST_PINS
    if more > 0:
        print(f"    and by {more} more")


def _read(path: str, base_path: str | None, *, cache: bool) -> Btf:
    """The split BTF of a module, on what it has as .BTF.base or on vmlinux; or raw split BTF."""
    from kbtf.elf.module import Module
    from kbtf.elf.vmlinux import open_base, open_btf

    def find(module: Module) -> Base:
        return _find_base(module, base_path, cache)

    try:
        module = Module.open(path, find_base=find)
    except ElfError:
        base = open_base(base_path, cache=cache).btf if base_path is not None else None
        return open_btf(path, base, cache=cache)
    btf = module.btf
    if btf is None:
        raise ElfError("has no section .BTF", file=path)
    return btf


def _find_base(module: Module, path: str | None, cache: bool) -> Base:
    from kbtf.elf.find import find_base
    from kbtf.elf.vmlinux import open_base

    if path is not None:
        return open_base(path, cache=cache)
    if module.release is None:
        raise BaseNotFoundError(
            "does not say which kernel it was built for (no vermagic)",
            file=module.path,
            hint="name that kernel's vmlinux with --base",
        )
    return find_base(module.release, cache=cache)
