# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf explain``: explain why a type is in ``.BTF.base``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbtf.cli.common import add_base, as_typed, warn_of_unknown_kind
from kbtf.cli.terminal.as_json import print_json
from kbtf.errors import ElfError
from kbtf.say import say

if TYPE_CHECKING:
    import argparse

    from kbtf.btf.base import Base
    from kbtf.btf.btf import Btf
    from kbtf.check.explain import Explanation
    from kbtf.elf.module import Module

DESCRIPTION = """\
Explain why a type is in a module's .BTF.base: the shortest chain of references from a function,
variable or struct of the module, and whether its size is fixed.  A struct that the module embeds
must have the same size in the kernel.  A module without .BTF.base is distilled in memory.

TYPE is a name, with or without its keyword: device, 'struct device'. The exit code is 1 if it is
not in .BTF.base.  MODULE may be raw split BTF, with --base."""
EXAMPLE = """\
  kbtf explain mymodule.ko
  kbtf explain mymodule.ko 'struct device'"""

_MOST_PINS = 4


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("module", metavar="MODULE", help="a module, or raw split BTF")
    parser.add_argument(
        "type", nargs="?", type=as_typed, metavar="TYPE", help="explain this type (default: all)"
    )
    add_base(
        parser,
        "the base of the module's BTF, if it has no .BTF.base "
        "(default: $KBTF_BASE, else the one found for its release)",
    )
    parser.add_argument("--no-cache", action="store_true", help="do not cache unpacked kernels")
    parser.add_argument("--json", action="store_true", help="print a JSON document")


def run(args: argparse.Namespace) -> int:
    from kbtf.check.explain import distilled_form, explain, why_absent
    from kbtf.errors import located

    split = _read(args.module, args.base, cache=not args.no_cache)
    warn_of_unknown_kind(split, args.module, "what only such types refer to is not listed")
    with located(args.module, ".BTF"):
        distilled = distilled_form(split)
        found = explain(distilled, args.type)
    absent = args.type is not None and not found
    reason = why_absent(split, args.type) if absent else None
    if args.json:
        document = {"module": args.module, "types": [_row(one) for one in found]}
        if absent:
            document["absent"] = reason
        print_json(document)
    elif absent:
        say(f"'{args.type}' is not in .BTF.base: {reason}")
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
    say(explanation)
    for pin in explanation.pins[:_MOST_PINS]:
        say(f"    pinned by {pin}")
    more = len(explanation.pins) - _MOST_PINS
    if more > 0:
        say(f"    and by {more} more")


def _read(path: str, base_path: str | None, *, cache: bool) -> Btf:
    """The split BTF of a module, on its .BTF.base or on vmlinux; or raw split BTF."""
    from kbtf.elf.module import Module
    from kbtf.kernel.find import base_of

    def find(module: Module) -> Base:
        return base_of(module, base_path, cache=cache)

    btf = Module.open_to_read(path, find_base=find).btf
    if btf is None:
        raise ElfError("has no section .BTF", file=path)
    return btf
