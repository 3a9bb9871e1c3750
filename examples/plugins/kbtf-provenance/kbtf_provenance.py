# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A kbtf plugin that records in a module what it was built from, and a command to read it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from kbtf import KbtfError, Module, UsageError, hookimpl

if TYPE_CHECKING:
    import argparse

    from kbtf import Config, OptionGroup

SECTION = ".kbtf.provenance"


class NoProvenanceError(KbtfError):
    """A module without the section."""

    exit_code = 1


@hookimpl
def kbtf_add_options(group: OptionGroup) -> None:
    group.add(
        "--provenance-revision",
        key="provenance.revision",
        metavar="REV",
        safe=True,
        help="the revision of the sources, to be kept in the module",
    )


@hookimpl
def kbtf_configure(config: Config) -> None:
    _epoch()


@hookimpl
def kbtf_embed_sections(module: Module, config: Config) -> None:
    known = {
        "compilers": _compilers(module),
        "epoch": _epoch(),
        "kernel": module.release,
        "revision": config["provenance.revision"],
    }
    new = {key: value for key, value in known.items() if value not in (None, [])}
    text = json.dumps({**(read(module) or {}), **new}, sort_keys=True)
    module.set_section(SECTION, text.encode() + b"\n")


def _epoch() -> int | None:
    """https://reproducible-builds.org/specs/source-date-epoch/"""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text and not text.isdecimal():
        raise UsageError(f"SOURCE_DATE_EPOCH = {text!r} is not a number of seconds")
    return int(text) if text else None


def _compilers(module: Module) -> list[str]:
    """The strings of compilers in ``.comment``, one for each object file, without duplicates."""
    strings = (module.image.data(".comment") or b"").split(b"\0")
    return list(dict.fromkeys(text.decode(errors="replace") for text in strings if text))


def read(module: Module) -> dict[str, Any] | None:
    """The record in a module; None without the section, KbtfError if it cannot be read."""
    data = module.image.data(SECTION)
    if data is None:
        return None
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise KbtfError(f"is not JSON: {error}", file=module.path, where=SECTION) from error
    if not isinstance(said, dict):
        raise KbtfError("is not a JSON object", file=module.path, where=SECTION)
    return said


@hookimpl
def kbtf_add_commands(subparsers: Any) -> None:
    parser = subparsers.add_parser("provenance", help="print what a module was built from")
    parser.add_argument("module", metavar="MODULE", help="a .ko[.gz|.xz|.zst]")
    parser.add_argument("--json", action="store_true", help="print the JSON object")
    parser.set_defaults(run=_command)


def _command(args: argparse.Namespace) -> int:
    said = read(Module.open(args.module))
    if said is None:
        raise NoProvenanceError("does not say what it was built from", file=args.module)
    if args.json:
        print(json.dumps(said, indent=2, sort_keys=True))
        return 0
    for key, value in sorted(said.items()):
        print(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return 0
