# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The examples with BPF programs, built as their READMEs do it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from oracles.build import bpftool, libbpf, need
from real import BUILD_PRODUCTS
from shown import block, sh

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KERNEL", "make_congestion_control", "make_customers"]

# What stands in the pages for the headers of the reader's kernel.
KERNEL = "/usr/src/linux-headers-RELEASE"


def make_congestion_control(root: Path, into: Path, headers: Path) -> Path:
    """examples/tcp_congestion: the module with its BTF, the BPF object and a static program."""
    need("clang", "gcc", "make", "pahole")
    library = libbpf()
    shutil.copytree(root / "examples/tcp_congestion", into, ignore=BUILD_PRODUCTS)
    *making, _ = block("examples/tcp_congestion/README.md", "make", {KERNEL: headers}).splitlines()
    sh(
        "\n".join(making),
        into,
        KDIR=str(headers),
        LIBBPF_CFLAGS=f"-I{library}/include",
        LIBBPF_LIBS=f"-static {library}/libbpf.a -lelf -lz",
    )
    return into


def make_customers(root: Path, into: Path) -> Path:
    """The BPF part of examples/kfunc_module: object, light skeleton and a static program."""
    need("clang", "gcc", "make")
    shutil.copytree(root / "examples/kfunc_module", into, ignore=BUILD_PRODUCTS)
    sh(
        block("examples/kfunc_module/README.md", "customers"),
        into,
        BPFTOOL=str(bpftool()),
        LIBBPF_CFLAGS=f"-I{libbpf()}/include",
        CFLAGS="-static",
    )
    return into
