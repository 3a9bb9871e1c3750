# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""libbpf's own code for externs, made to run without a kernel."""

from __future__ import annotations

import hashlib
from pathlib import Path

from oracles.build import kernel_source, libbpf, once, run

ORACLE = Path(__file__).with_name("ksyms_oracle.c")


def ksyms_oracle() -> Path:
    """The program `ksyms_oracle`: see its source."""
    source, library = kernel_source(), libbpf()
    text = hashlib.sha256(ORACLE.read_bytes()).hexdigest()[:12]

    def make(path: Path) -> None:
        tools = source / "tools"
        includes = [tools / "lib/bpf", tools / "include", tools / "include/uapi"]
        includes += [tools / "arch/x86/include", tools / "lib"]
        options = ["-O1", "-g", "-w", "-D_LARGEFILE64_SOURCE", "-D_FILE_OFFSET_BITS=64"]
        options += [f"-I{folder}" for folder in includes]
        # bpf_helper_defs.h is made when libbpf is; its libbpf.o stands behind ours
        options += [f"-I{library}/include/bpf", "-Wl,-z,muldefs"]
        run("gcc", *options, "-o", path, ORACLE, library / "libbpf.a", "-lelf", "-lz")

    return once(library.with_name(f"ksyms_oracle-{text}"), make)
