# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A machine with modules in six states boots as `kbtf status` has predicted."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import signing
from conftest import or_missing
from kbtf import Module
from kernel.archives import cpio
from lab import kernels
from vm import machine
from vm.predicted import told
from vm.variants import resize

if TYPE_CHECKING:
    from lab.debian import Debian
    from lab.installed import Installed
    from vm.kernels import Kernel

pytestmark = pytest.mark.vm

SOURCE = """\
#include <linux/module.h>
#include <linux/mutex.h>
struct NAME_box { struct mutex lock; };
static struct NAME_box box;
static int __init NAME_init(void) { mutex_init(&box.lock); return 0; }
static void __exit NAME_exit(void) { }
module_init(NAME_init);
module_exit(NAME_exit);
MODULE_LICENSE("GPL");
"""
STATES = ("fine", "refused", "stale", "bare", "unsigned", "foreign")
OWN = "dummy"
"""A module of the kernel's own."""
OTHER = {"6.12.x": "7.x", "7.x": "6.12.x"}


class Boot(NamedTuple):
    """What was predicted of a kernel, and what its boot then did."""

    fatal: bool
    said: dict[str, Any]
    done: dict[tuple[str, str], tuple[str, str]]
    """How a module was loaded and whether it has BTF then, by place and name."""


@pytest.fixture(scope="module", params=OTHER)
def boot(
    request: pytest.FixtureRequest,
    lab: Debian,
    lab_kbtf: Installed,
    tmp_path_factory: pytest.TempPathFactory,
) -> Boot:
    """A kernel of the lab, installed with the modules, looked at and booted."""
    work = tmp_path_factory.mktemp("status")
    which = request.param
    with or_missing():
        kernel = kernels.kernel(lab, lab.release(which))
        (own,) = (p for p in kernels.modules(lab, kernel.release) if p.name.startswith(f"{OWN}.ko"))
        made = build(lab_kbtf, which, work / "made", STATES)
        made |= build(lab_kbtf, OTHER[which], work / "other", ("foreign",))
        stale = break_some(made, work)
        pair = signing.make_pair(work, "states")
        sign(lab_kbtf, which, pair, work, [p for n, p in made.items() if n != "unsigned"])
        root = install(kernel, own, made, stale, work)
        plain = work / f"{OWN}.ko"
        plain.write_bytes(lzma.decompress(own.read_bytes()))
        files = {f"installed/{path.name}": path for path in (*made.values(), plain)}
        files |= {"early/stale.ko": stale, "early/fine.ko": made["fine"]}
        (said,) = told("status", "--root", root)["kernels"]
        run = machine.run_in(kernel, machine.GUEST / "status.sh", files, work / "guest")
    lines = [line.split() for line in (run.out / "boot").read_text().splitlines()]
    outcomes = {(place, name): (how, btf) for place, name, how, btf in lines}
    return Boot(which == "7.x", said, outcomes)


def build(inside: Installed, which: str, work: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """The modules as kbtf builds them."""
    work.mkdir()
    (work / "Makefile").write_text(f"obj-m := {' '.join(f'{name}.o' for name in names)}\n")
    for name in names:
        (work / f"{name}.c").write_text(SOURCE.replace("NAME", name))
    inside.sh(f"kbtf build -q -C {inside.headers(which)} .", work)
    return {name: work / f"{name}.ko" for name in names}


def break_some(made: dict[str, Path], work: Path) -> Path:
    """Put the modules into their states; the stale copy of one that is for the initramfs."""
    stale = work / "stale.ko"
    shutil.copy(made["stale"], stale)
    resize(stale, "mutex")
    resize(made["refused"], "mutex")
    subprocess.run(
        ["objcopy", "-R", ".BTF", "-R", ".BTF.base", "-R", ".BTF_ids", made["bare"]], check=True
    )
    assert not Module.open(str(made["bare"])).has_btf
    return stale


def sign(
    inside: Installed, which: str, pair: signing.Pair, work: Path, modules: list[Path]
) -> None:
    """Sign the modules with a key that the kernel does not know."""
    names = " ".join(str(path.relative_to(work)) for path in modules)
    program = f"{inside.headers(which)}/scripts/sign-file"
    key, cert = pair.key.name, pair.cert.name
    inside.sh(f"for module in {names}; do {program} sha256 {key} {cert} $module; done", work)


def install(kernel: Kernel, own: Path, made: dict[str, Path], stale: Path, work: Path) -> Path:
    """A root directory with the kernel, the modules and an initramfs that has two of them."""
    root = work / "root"
    release = kernel.release
    (root / "boot").mkdir(parents=True)
    shutil.copy(kernel.image, root / f"boot/vmlinuz-{release}")
    for config in (f"config-{release}", "config"):
        if kernel.image.with_name(config).exists():
            shutil.copy(kernel.image.with_name(config), root / f"boot/config-{release}")
    folder = root / "lib/modules" / release
    (folder / "extra").mkdir(parents=True)
    (folder / "kernel").mkdir()
    shutil.copy(own, folder / "kernel")
    for path in made.values():
        shutil.copy(path, folder / "extra")
    prefix = f"usr/lib/modules/{release}/extra"
    copies = {
        f"{prefix}/stale.ko": stale.read_bytes(),
        f"{prefix}/fine.ko": made["fine"].read_bytes(),
    }
    image = gzip.compress(cpio(work / "initramfs", copies))
    (root / f"boot/initrd.img-{release}").write_bytes(image)
    return root


def predicted(said: dict[str, Any], place: str, name: str) -> tuple[str, str]:
    """What the forecast means for one attempt to load a module, as guest/status.sh writes it."""
    for problem in said["problems"]:
        is_copy = problem["initramfs"] is (place == "early")
        if problem["severity"] == "error" and is_copy and Path(problem["module"]).stem == name:
            effect = problem["text"].partition(":")[0]
            return {"fails": ("failed", "none"), "loads without BTF": ("loaded", "none")}[effect]
    return "loaded", "none" if name in said["without_btf"] else "btf"


def test_each_attempt_to_load_a_module_ends_as_predicted(boot: Boot) -> None:
    assert boot.said["refusal_is_fatal"] is boot.fatal
    tried = {at: outcome for at, outcome in boot.done.items() if outcome[0] != "already"}
    assert tried == {at: predicted(boot.said, *at) for at in tried}
    assert tried["installed", "refused"][0] == ("failed" if boot.fatal else "loaded")
    assert tried["installed", "foreign"] == ("failed", "none")
    assert tried["installed", "bare"] == ("loaded", "none")
    assert {name for name, _ in tried.values()} == {"loaded", "failed"}
    assert {name for _, name in boot.done} == {*STATES, OWN}


def test_what_else_is_wrong_is_named(boot: Boot) -> None:
    warnings = {
        (problem["code"], Path(problem["module"]).stem, problem["initramfs"])
        for problem in boot.said["problems"]
        if problem["severity"] == "warning"
    }
    assert warnings == {
        ("early-differs", "stale", True),
        ("no-btf", "bare", False),
        ("unsigned", "unsigned", False),
    }
