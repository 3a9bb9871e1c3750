# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A kernel that Kbuild links with ``kbtf-pahole``: its BTF is pahole's, and it takes a module.

`$KBTF_PAHOLE` names a pahole 1.32, and `$KBTF_KERNEL_TREE` a tree of Linux 6.12 to build in, which
spares the next run all but linking.  The first takes ten minutes of a processor's time.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from conftest import missing, or_missing
from kbuild.paholes import LIST
from kbuild.standins import PAHOLE
from oracles import build as oracles
from real import build_module
from vm import machine
from vm.kernels import Kernel
from vm.test_modules import kfuncs_work, seen
from vm.variants import VARIANTS

pytestmark = pytest.mark.tree

CONFIG = Path(__file__).with_name("tiny.config")
FLAGS = ("-J", f"--btf_features={LIST},decl_tag_kfuncs", "--lang_exclude=rust")
(DISTILLED,) = (variant for variant in VARIANTS if variant.name == "distilled")


@pytest.fixture
def pahole() -> str:
    """The pahole to compare with, which also gives the stand-in its version."""
    named = os.environ.get("KBTF_PAHOLE")
    if not named:
        pytest.skip("$KBTF_PAHOLE names no pahole 1.32")
    assert oracles.run(named, "--version").strip() == "v1.32"
    return named


@pytest.fixture
def tree(pahole: str, tmp_path: Path) -> Path:
    """A kernel that was linked with the stand-in, and what modules need of it."""
    with or_missing():
        oracles.need("bc", "bison", "flex", "gcc", "make")
        tree = Path(os.environ.get("KBTF_KERNEL_TREE") or unpack(tmp_path))
    make = ("make", "-s", "-j2", "-C", tree, f"PAHOLE={PAHOLE}")
    oracles.run(*make, "tinyconfig")
    oracles.run(tree / "scripts/kconfig/merge_config.sh", "-m", ".config", CONFIG, cwd=tree)
    oracles.run(*make, "olddefconfig")
    # Another pahole is no reason for Kbuild to link again.
    (tree / "vmlinux").unlink(missing_ok=True)
    oracles.run(*make, "bzImage", "modules")
    return tree


def unpack(into: Path) -> Path:
    tarball = Path(f"/usr/src/{oracles.SOURCE}.tar.xz")
    if not tarball.exists():
        missing(f"{oracles.SOURCE} is not installed")
    oracles.run("tar", "-C", into, "-xf", tarball)
    return into / oracles.SOURCE


def test_a_kernel_linked_with_the_stand_in_boots_and_loads_a_module(
    tree: Path, pahole: str, root: Path, tmp_path: Path
) -> None:
    by_pahole = tmp_path / "vmlinux.btf"
    oracles.run(pahole, *FLAGS, f"--btf_encode_detached={by_pahole}", tree / ".tmp_vmlinux1")
    example = root / "examples" / "kfunc_module"
    module = build_module(example, tmp_path / "module", tree, f"PAHOLE={PAHOLE}")

    run = boot(tree / "arch/x86/boot/bzImage", module, tmp_path)

    shown = (run.out / "vmlinux.sha256").read_text().split()[0]
    assert shown == hashlib.sha256(by_pahole.read_bytes()).hexdigest()
    was = seen(run, DISTILLED, module)
    assert (was.how, was.btf) == ("loaded", "accepted"), was.dmesg
    assert kfuncs_work(was, DISTILLED), was.programs


def boot(image: Path, module: Path, work: Path) -> machine.Run:
    """The kernel with the module, whose kfuncs are called."""
    listed, name = work / "modules", DISTILLED.module
    listed.write_text(f"{DISTILLED.name} {name} {name}.bpf.o\n")
    libbpf = oracles.libbpf()
    bpf = machine.compile_bpf(machine.GUEST / f"{name}.bpf.c", work, libbpf)
    tools = {
        tool: machine.compile_tool(machine.GUEST / f"{tool}.c", work, libbpf)
        for tool in ("load", "programs")
    }
    files = {"modules": listed, f"variants/{DISTILLED.name}": module, f"{name}.bpf.o": bpf, **tools}
    return machine.run_in(
        Kernel("tiny", image), machine.GUEST / "modules.sh", files, work / "guest"
    )
