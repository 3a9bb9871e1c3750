# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf encode``: make BTF from the DWARF of a module or a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf.cli.common import add_output, base_from_environment, write_bytes
from kbtf.encode.features import DEFAULT, FEATURES, features_of_list, require_known
from kbtf.run.options import number_of_jobs

if TYPE_CHECKING:
    import argparse

    from kbtf.btf.base import Base
    from kbtf.encode.dwarf import Encoded
    from kbtf.encode.notes import Remark

DESCRIPTION = """\
Encode the DWARF of a module as split BTF, or that of a vmlinux as the kernel's BTF.

The output equals that of 'pahole -J --btf_encode_detached' with the newest libbpf, in the pahole
version that matches the base, or in 1.32 for a vmlinux.  A unit that BTF cannot express is left
out with a warning."""
EXAMPLE = """\
  kbtf encode --base /boot/vmlinuz-6.12.0 mymodule.ko -o mymodule.btf
  kbtf encode -v --features global_var mymodule.ko -o mymodule.btf
  kbtf encode -j0 vmlinux -o vmlinux.btf"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a module, or a linked vmlinux")
    parser.add_argument(
        "--base",
        metavar="FILE",
        help="vmlinux: ELF, compressed kernel or raw BTF (default: $KBTF_BASE, else the one found "
        "for the module's release)",
    )
    parser.add_argument(
        "--features",
        default="",
        metavar="LIST",
        help=f"also enable these features of pahole's --btf_features: {', '.join(_more())}",
    )
    parser.add_argument(
        "--profile",
        type=int,
        choices=(131, 132),
        help="encode as pahole 1.31 or 1.32 does (default: as the base is encoded; a vmlinux: 132)",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=number_of_jobs,
        default=1,
        metavar="N",
        help="read the DWARF with N threads, 0 for one on each CPU (default: 1)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="fail if BTF cannot express a unit, as pahole does"
    )
    add_output(parser, "the BTF")
    parser.add_argument("--json", action="store_true", help="print what was left out as JSON")
    parser.add_argument("-v", "--verbose", action="store_true", help="print notes too")


def _more() -> list[str]:
    return [name for name, feature in FEATURES.items() if feature.bit and not feature.default]


def run(args: argparse.Namespace) -> int:
    from kbtf.errors import UsageError, located
    from kbtf.files.paths import require_distinct

    if args.json and args.output is None:
        raise UsageError("--json prints a document; name a file for the BTF with -o")
    require_distinct([args.output], [args.file])
    features = features_of_list(args.features)
    require_known(features)
    with located(args.file):
        encoded, remarks = _encode(args, features | set(DEFAULT))
    write_bytes(encoded.btf.to_bytes(), args.output)
    if args.json:
        _print_json(encoded)
    else:
        _print_remarks(args.file, remarks, verbose=args.verbose)
    return 0


def _encode(args: argparse.Namespace, features: set[str]) -> tuple[Encoded, list[Remark]]:
    from kbtf.elf.files import map_linked
    from kbtf.elf.module import Module
    from kbtf.encode.dwarf import PROFILES, encode_kernel, encode_module
    from kbtf.encode.notes import Remark
    from kbtf.errors import UsageError
    from kbtf.files.paths import require_distinct
    from kbtf.kernel.find import base_of
    from kbtf.kernel.index_cache import load_index

    kernel = map_linked(args.file)
    if kernel is not None:
        if args.base is not None:
            raise UsageError("is a kernel, which has no base", hint="omit --base")
        encoded = encode_kernel(
            kernel,
            features=features,
            profile=args.profile or PROFILES[-1],
            strict=args.strict,
            jobs=args.jobs,
        )
        return encoded, list(encoded.remarks())
    named = args.base or base_from_environment()

    def find(module: Module) -> Base:
        base = base_of(module, named)
        require_distinct([args.output], [base.source])
        return base

    module = Module.open(args.file, find_base=find)
    module.threads = args.jobs
    encoded = encode_module(
        module,
        load_index,
        features=features,
        profile=args.profile,
        strict=args.strict,
        as_pahole=True,
    )
    warnings = [Remark(text, is_warning=True) for text in module.warnings]
    return encoded, [*warnings, *(Remark(text, is_warning=False) for text in module.notes)]


def _print_remarks(file: str, remarks: list[Remark], *, verbose: bool) -> None:
    from kbtf.cli.terminal.messages import print_warning
    from kbtf.say import complain

    for text, is_warning in remarks:
        if is_warning:
            print_warning(f"{file}: {text}")
        elif verbose:
            complain(f"kbtf: note: {file}: {text}")


def _print_json(encoded: Encoded) -> None:
    from kbtf.cli.terminal.as_json import print_json

    print_json(
        {
            "profile": encoded.profile,
            "units": encoded.units,
            "types": len(encoded.btf),
            "bytes": len(encoded.btf.data),
            "left_out": [note._asdict() for note in encoded.notes],
        }
    )
