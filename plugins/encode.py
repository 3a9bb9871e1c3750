# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Makes split BTF from a module's DWARF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbtf import KbtfError, UsageError, hookimpl

if TYPE_CHECKING:
    from kbtf import Btf, Config, Module, OptionGroup

_ENCODERS = ("kbtf", "pahole")


@hookimpl
def kbtf_add_options(group: OptionGroup) -> None:
    group.add(
        "--encoder",
        default="kbtf",
        metavar="NAME",
        help="the encoder of DWARF: kbtf or pahole (default: kbtf)",
    )
    group.add("--pahole", default="pahole", metavar="PROGRAM", help="the pahole to run")


@hookimpl
def kbtf_configure(config: Config) -> None:
    if config["encoder"] not in _ENCODERS:
        raise UsageError(
            f"unknown encoder {config['encoder']}", hint=f"known are {', '.join(_ENCODERS)}"
        )


@hookimpl
def kbtf_after_link(module: Module, config: Config) -> None:
    if module.has_kernel_btf:
        module.skip("contains the kernel's own BTF")
        return
    if module.has_btf:
        return
    if module.image.section(".debug_info") or module.image.section(".zdebug_info"):
        module.set_btf(_encode(module, config))
    elif module.btf_ids:
        raise KbtfError(
            "has .BTF_ids, but neither BTF nor DWARF to make BTF from",
            file=module.path,
            hint="build with CONFIG_DEBUG_INFO or KCFLAGS=-g, and strip after kbtf",
        )
    else:
        module.skip("neither DWARF nor BTF")


def _encode(module: Module, config: Config) -> Btf:
    # imported only here: most runs are on modules that have BTF
    if config["encoder"] == "pahole":
        from kbtf import encode_with_pahole

        return encode_with_pahole(module, config["pahole"])
    from kbtf import encode_module, load_index

    cache = not config["no-cache"]
    return encode_module(module, lambda base: load_index(base, cache=cache)).btf
