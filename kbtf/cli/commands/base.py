# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf base``: find the BTF of a kernel."""

from __future__ import annotations

import os
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from kbtf.cli.common import add_output
from kbtf.cli.terminal.as_json import print_json
from kbtf.errors import BaseNotFoundError, UsageError
from kbtf.say import counted, say

if TYPE_CHECKING:
    import argparse

    from kbtf.btf.diff import BaseDiff, Divergence

DESCRIPTION = """\
Find the BTF of a kernel and show its path, release, number of types, size and checksum; with -o,
extract it.  PATH is a vmlinux, a compressed kernel or raw BTF. Without PATH, search for the
kernel as 'kbtf run' searches for a module's base (default: the running release).

'kbtf base diff A B' compares two kernels: the first type id with different types, and the named
types that were added, removed, resized or changed their kind.  Exit code 1: they differ."""
EXAMPLE = """\
  kbtf base
  kbtf base --release 6.12.0 -o vmlinux.btf
  kbtf base /boot/vmlinuz-6.12.0
  kbtf base diff /boot/vmlinuz-6.12.0 /boot/vmlinuz-6.12.1"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] [PATH]\n       %(prog)s [options] diff A B"
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="a vmlinux, a compressed kernel or raw BTF"
    )
    parser.add_argument("--release", metavar="R", help="the kernel release to look for")
    parser.add_argument(
        "-C", dest="kdir", metavar="DIR", help="the kernel build directory, tried first"
    )
    parser.add_argument("--no-cache", action="store_true", help="do not cache unpacked kernels")
    parser.add_argument("--json", action="store_true", help="print a JSON document")
    add_output(parser, "the raw BTF")


def run(args: argparse.Namespace) -> int:
    if args.paths[:1] == ["diff"] and len(args.paths) > 1:
        return _diff(args)
    if len(args.paths) > 1:
        raise UsageError("one PATH at a time; 'diff A B' compares two")
    return _show(args)


def _show(args: argparse.Namespace) -> int:
    import hashlib

    from kbtf.cli.common import write_file
    from kbtf.cli.terminal.messages import print_warning
    from kbtf.files.paths import require_distinct
    from kbtf.kernel.base import open_base
    from kbtf.kernel.find import find_base

    if args.paths and (args.release or args.kdir):
        raise UsageError("PATH names a file, --release and -C a kernel to look for: use one")
    if args.paths:
        base = open_base(args.paths[0], cache=not args.no_cache)
    else:
        release = args.release or os.uname().release
        try:
            base = find_base(release, kdir=args.kdir, cache=not args.no_cache)
        except BaseNotFoundError as error:
            error.hint = "name its vmlinux, vmlinuz or raw BTF: 'kbtf base PATH'"
            raise
    for note in base.notes:
        print_warning(note)
    data = base.btf.to_bytes()
    facts = {
        "source": base.source,
        "release": base.release,
        "types": len(base.btf),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    if args.output:
        require_distinct([args.output], [base.source])
        write_file(args.output, data)
    if args.json:
        print_json(facts)
    else:
        for key, value in facts.items():
            say(f"{key:8}{'unknown' if value is None else value}")
    return 0


def _diff(args: argparse.Namespace) -> int:
    from kbtf.btf.diff import diff_bases
    from kbtf.kernel.base import open_base

    if len(args.paths) != 3 or args.release or args.kdir or args.output:
        raise UsageError("diff takes two files, A and B, and no option but --json and --no-cache")
    a, b = (open_base(path, cache=not args.no_cache).btf for path in args.paths[1:])
    diff = diff_bases(a, b)
    if args.json:
        print_json(_document(diff))
    else:
        _print_diff(diff)
    return 0 if diff.identical else 1


def _document(diff: BaseDiff) -> dict[str, Any]:
    return {
        "identical": diff.identical,
        "types": dict(zip("ab", diff.types, strict=True)),
        "strings": dict(zip("ab", diff.strings, strict=True)),
        "same_strings": diff.same_strings,
        "first": diff.first._asdict() if diff.first else None,
        "first_other": diff.first_other._asdict() if diff.first_other else None,
        "added": [named._asdict() for named in diff.added],
        "removed": [named._asdict() for named in diff.removed],
        "resized": [{"a": a._asdict(), "b": b._asdict()} for a, b in diff.resized],
        "changed_kind": [{"a": a._asdict(), "b": b._asdict()} for a, b in diff.changed_kind],
    }


def _print_diff(diff: BaseDiff) -> None:
    if diff.identical:
        types, strings = counted(diff.types[0], "type"), counted(diff.strings[0], "string")
        say(f"identical: {types}, {strings}")
        return
    say(f"types    A {diff.types[0]}, B {diff.types[1]}")
    say(f"strings  A {diff.strings[0]}, B {diff.strings[1]}")
    if diff.first is None:
        say("all types are the same, but their strings are stored in another order")
        return
    _print_divergence("first difference", diff.first)
    if diff.first_other is not None and diff.first_other.id != diff.first.id:
        _print_divergence("first with another head", diff.first_other)
    for title, sign, names in (("removed", "-", diff.removed), ("added", "+", diff.added)):
        say(f"{title} {len(names)}")
        for named in names:
            say(f"  {sign} {named}")
    for title, pairs in (("resized", diff.resized), ("changed kind", diff.changed_kind)):
        say(f"{title} {len(pairs)}")
        for a, b in pairs:
            say(f"  ~ {a} -> {b}")


def _print_divergence(title: str, at: Divergence) -> None:
    """The heads of both types; if these are equal, the first member or value that differs."""
    say(f"{title}: type [{at.id}]")
    pairs = list(zip_longest(at.a, at.b, fillvalue="ends before"))
    shown = [pairs[0], *(pair for pair in pairs[1:] if pair[0] != pair[1])]
    for a, b in shown[: 1 if pairs[0][0] != pairs[0][1] else 2]:
        say(f"  A: {a}", f"  B: {b}")
