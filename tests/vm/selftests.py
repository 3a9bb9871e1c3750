# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernel's own BPF selftests: their modules, and the objects that use kfuncs or ksyms."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from oracles import build as oracles
from vm.variants import KBTF

SELFTESTS = "tools/testing/selftests/bpf"
MODULES = ("bpf_testmod", "bpf_test_no_cfi", "bpf_test_modorder_x", "bpf_test_modorder_y")
"""In the order in which the guest loads them."""
USES_KSYMS = re.compile(r"__ksym\b|bpf_testmod_kfunc\.h")
# These declare another object's functions, and are linked with it before libbpf opens them.
PARTS_OF_OTHERS = ("linked_",)


def source() -> Path:
    """Their sources, of Debian's kernel source."""
    tarball = Path(f"/usr/src/{oracles.SOURCE}.tar.xz")
    folder = f"{oracles.SOURCE}_{oracles.source_version()}"
    wanted = (SELFTESTS, "tools/include")
    return oracles.unpacked(tarball, oracles.cache_root() / folder / "selftests", wanted)


def build_modules(selftests: Path, headers: Path, work: Path) -> list[Path]:
    """The modules that the objects call, built by kbtf."""
    built = []
    for name in MODULES:
        folder = work / name
        shutil.copytree(selftests / SELFTESTS / name, folder)
        (folder / "Kbuild").write_text(f"obj-m := {name}.o\nCFLAGS_{name}.o = -I$(src)\n")
        oracles.run(KBTF, "build", "-q", "-C", headers, cwd=folder)
        built.append(folder / f"{name}.ko")
    return built


def build_objects(selftests: Path, headers: Path, work: Path) -> list[Path]:
    """The objects, compiled with the header that kbtf makes of the kernel."""
    oracles.need("clang", "gcc")
    work.mkdir()
    header = oracles.run(KBTF, "dump", "--format", "c", "--no-cache", headers / "vmlinux")
    (work / "vmlinux.h").write_text(header)
    sources = [path for path in (selftests / SELFTESTS / "progs").glob("*.c") if _is_wanted(path)]
    machine = oracles.run("gcc", "-print-multiarch").strip()
    folders = (
        work,
        selftests / SELFTESTS,
        selftests / "tools/include/uapi",
        selftests / "tools/include",
        oracles.libbpf() / "include",
        Path("/usr/include") / machine,
    )
    options = ["-target", "bpf", "-g", "-O2", "-mcpu=v3", "-std=gnu11", "-fno-strict-aliasing"]
    options += ["-D__TARGET_ARCH_x86", "-w", *(f"-I{folder}" for folder in folders)]

    def compile_one(path: Path) -> Path:
        compiled = work / f"{path.stem}.bpf.o"
        oracles.run("clang", *options, "-c", path, "-o", compiled)
        return compiled

    with ThreadPoolExecutor(2) as pool:
        return sorted(pool.map(compile_one, sources))


def _is_wanted(path: Path) -> bool:
    return not path.name.startswith(PARTS_OF_OTHERS) and bool(USES_KSYMS.search(path.read_text()))
