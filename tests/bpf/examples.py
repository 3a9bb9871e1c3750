# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The examples with BPF programs, built as their READMEs do it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from oracles.build import bpftool, libbpf, need, run
from real import BUILD_PRODUCTS

HERE = Path(sys.executable).parent


def make_congestion_control(root: Path, into: Path, headers: Path) -> Path:
    """examples/tcp_congestion: the module with its BTF, the BPF object and a static program."""
    need("clang", "gcc", "make", "pahole")
    library = libbpf()
    shutil.copytree(root / "examples/tcp_congestion", into, ignore=BUILD_PRODUCTS)
    words = [f"KDIR={headers}", f"LIBBPF_CFLAGS=-I{library}/include"]
    words += [f"LIBBPF_LIBS=-static {library}/libbpf.a -lelf -lz"]
    run("env", f"PATH={HERE}:/usr/sbin:/usr/bin:/sbin:/bin", "make", "-C", into, *words)
    return into


def make_customers(root: Path, into: Path) -> Path:
    """The BPF part of examples/kfunc_module: object, light skeleton and a static program."""
    need("clang", "gcc", "make")
    shutil.copytree(root / "examples/kfunc_module", into, ignore=BUILD_PRODUCTS)
    words = [f"BPFTOOL={bpftool()}", f"LIBBPF_CFLAGS=-I{libbpf()}/include", "CFLAGS=-static"]
    run("make", "-C", into, "customers", *words)
    return into
