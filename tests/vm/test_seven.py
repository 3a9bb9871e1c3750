# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""7.x kernels load the example with BTF in right and wrong ways, as `kbtf check` has said."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from conftest import or_missing
from kbtf import Btf, Module, relocate
from lab import kernels
from lab.installed import CLANG
from oracles import build as oracles
from real import BUILD_PRODUCTS
from vm import machine, variants
from vm.predicted import Booted, booted
from vm.test_modules import fits
from vm.variants import RIGHT, kbtf, replace_section

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.debian import Debian
    from lab.installed import Installed

pytestmark = pytest.mark.vm

SEVEN = ("7.x", "7.x before")
NOT_VALID = "failed to validate module"


class Parts(NamedTuple):
    """What variants are made from."""

    linked: Path
    kbuild: Path
    """As Kbuild leaves it: pahole and resolve_btfids of Debian, with a distilled base."""
    built: Path
    """As `kbtf build` leaves it."""
    intree: Path
    """As linked, with intree=Y."""
    own_types: Path
    """tests/modules/own_types as linked."""
    iter_percpu: Path
    """tests/modules/iter_percpu as linked."""
    clang: Path
    """The example as clang and its linker left it, for these kernels of gcc."""
    clang_kbuild: Path
    """The same as Kbuild leaves it."""
    own: Path
    """The vmlinux of the kernel."""
    other: Path
    """That of another one."""


def unresolved(parts: Parts, module: Path) -> None:
    """As if nobody had run resolve_btfids."""
    shutil.copy(parts.built, module)
    ids = Module.open(str(parts.linked)).btf_ids
    assert ids is not None
    replace_section(module, ".BTF_ids", ids)


def resized(struct: str) -> Callable[[Parts, Path], None]:
    """Has been built with a struct of another size."""

    def make(parts: Parts, module: Path) -> None:
        shutil.copy(parts.built, module)
        variants.resize(module, struct)

    return make


def undistilled(parts: Parts, module: Path) -> None:
    """Plain split BTF for exactly that kernel."""
    kbtf("undistill", "--base", parts.own, "-o", module, parts.built)


def stale(parts: Parts, module: Path) -> None:
    """Plain split BTF for another kernel."""
    kbtf("undistill", "--base", parts.other, "-o", module, parts.built)


def twice(parts: Parts, module: Path) -> None:
    """Given to kbtf once more."""
    shutil.copy(parts.built, module)
    kbtf("run", "--base", parts.own, module)


def misresolved(parts: Parts, module: Path) -> None:
    """As if resolved against other BTF than the module has."""
    shutil.copy(parts.built, module)
    variants.shift_ids(module)


def run_on(
    part: str, *options: str, base: str = "own", alone: bool = False
) -> Callable[[Parts, Path], None]:
    """What `kbtf run` makes of a part; *alone*, with no other program."""

    def make(parts: Parts, module: Path) -> None:
        words = ("--base", getattr(parts, base), "-o", module, getattr(parts, part))
        kbtf("run", *options, *words, alone=alone)

    return make


VARIANTS: dict[str, Callable[[Parts, Path], object]] = {
    "linked": lambda parts, module: shutil.copy(parts.linked, module),
    "kbuild": lambda parts, module: shutil.copy(parts.kbuild, module),
    "built": lambda parts, module: shutil.copy(parts.built, module),
    "twice": twice,
    "after-kbuild": run_on("kbuild"),
    "intree": run_on("intree"),
    "pinned": run_on("own_types"),
    "encoded": run_on("iter_percpu", alone=True),
    "clang": run_on("clang"),
    "clang-by-pahole": run_on("clang_kbuild"),
    "unresolved": unresolved,
    "misresolved": misresolved,
    "embedded-resized": resized("mutex"),
    "pointed-to-resized": resized("task_struct"),
    "undistilled": undistilled,
    "stale": stale,
    "stale-distilled": run_on("linked", "--allow-other-release", base="other"),
}
MODULES = {
    **dict.fromkeys(VARIANTS, "kfunc_module"),
    "pinned": "own_types",
    "encoded": "iter_percpu",
}
WORK = {"built", "twice", "pinned", "encoded", "clang", "undistilled"}
"""Not what Kbuild makes: on 7.2 it repeats types of the kernel, and kbtf leaves that BTF alone."""
REFUSED = {"embedded-resized", "stale"}
LOADING = {("loaded", "loads"), ("failed", "fails")}


@pytest.fixture(scope="module", params=SEVEN)
def kernel(
    request: pytest.FixtureRequest,
    lab: Debian,
    lab_kbtf: Installed,
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Booted:
    """One of the 7.x kernels."""
    work = tmp_path_factory.mktemp("seven")
    with or_missing():
        release = lab.release(request.param)
        (other,) = {lab.release(which) for which in SEVEN} - {release}
        bases = {"own": lab.vmlinux(release), "other": lab.vmlinux(other)}
        parts = Parts(**build(lab_kbtf, request.param, root, work), **bases)
        modules = {name: work / f"{name}.ko" for name in VARIANTS}
        for name, make in VARIANTS.items():
            make(parts, modules[name])
        target = kernels.kernel(lab, release)
        run = boot(target, modules, work)
    return booted(target, modules, run)


def build(inside: Installed, which: str, root: Path, work: Path) -> dict[str, Path]:
    """All of `Parts` but the kernels."""
    example = root / "examples/kfunc_module"
    modules = root / "tests/modules"
    intree = work / "intree-source"
    shutil.copytree(example, intree, ignore=BUILD_PRODUCTS)
    with open(intree / "kfunc_module.c", "a") as source:
        source.write('MODULE_INFO(intree, "Y");\n')
    sources: dict[str, tuple[Path, list[str]]] = {
        "linked": (example, []),
        "intree": (intree, []),
        "own_types": (modules / "own_types", ["KCFLAGS=-g0"]),
        "iter_percpu": (modules / "iter_percpu", []),
        "clang": (example, CLANG),
    }
    made = {
        name: inside.linked(source, work / name, which, *arguments)
        for name, (source, arguments) in sources.items()
    }
    headers = inside.headers(which)
    for name, command in {
        "kbuild": f"make -s -C {headers} M=/mnt modules",
        "clang_kbuild": f"make -s -C {headers} M=/mnt {' '.join(CLANG)} modules",
        "built": f"kbtf build -q -C {headers} .",
    }.items():
        shutil.copytree(example, work / name, ignore=BUILD_PRODUCTS)
        inside.sh(command, work / name)
        made[name] = work / name / made["linked"].name
    return made


def boot(target: Any, modules: dict[str, Path], work: Path) -> machine.Run:
    """The kernel with all modules, one after the other."""
    listed = work / "modules"
    lines = [f"{name} {module} {module}.bpf.o\n" for name, module in MODULES.items()]
    listed.write_text("".join(lines))
    libbpf = oracles.libbpf()
    files = {name: machine.GUEST / f"{name}.c" for name in ("load", "programs")}
    files = {name: machine.compile_tool(path, work, libbpf) for name, path in files.items()}
    for name in set(MODULES.values()):
        bpf = machine.compile_bpf(machine.GUEST / f"{name}.bpf.c", work, libbpf)
        files[f"{name}.bpf.o"] = bpf
    files["modules"] = listed
    files |= {f"variants/{name}": path for name, path in modules.items()}
    return machine.run_in(target, machine.GUEST / "modules.sh", files, work / "guest")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_kernel_does_what_was_predicted(name: str, kernel: Booted) -> None:
    out = kernel.run.out / name
    said = kernel.predicted[name]
    (how, *_), *lines = [line.split() for line in (out / "result").read_text().splitlines()]
    dmesg = (out / "dmesg").read_text()
    dump = (out / "btf").read_bytes() if (out / "btf").exists() else None
    module = Module.open(str(kernel.modules[name]))

    # What did not load has left sysfs.
    has_btf = dump is not None or (how == "failed" and module.has_btf)
    was = "refused" if NOT_VALID in dmesg else "accepted" if has_btf else "none"
    assert said["btf"] == was, (said["findings"], dmesg)
    assert was == "refused" if name in REFUSED else was != "refused"
    assert (how, said["loading"].partition(" if ")[0]) in LOADING, dmesg
    if dump is not None and module.btf_base is not None and module.btf is not None:
        assert dump == relocate(module.btf, kernel.base).to_bytes()
    programs: dict[str, int | str] = {
        name: int(value[0])
        if what == "returned"
        else f"{what}: {(out / 'programs' / name).read_text()}"
        for what, name, *value in lines
    }
    right = RIGHT[MODULES[name]]
    wrong = {
        name: programs.get(name)
        for name, wanted in right.items()
        if not fits(programs.get(name, ""), wanted)
    }
    if name in WORK:
        assert said["verdict"] == "ok", said["findings"]
    if said["verdict"] == "ok":
        assert not wrong
    if said["verdict"] == "rejected":
        assert len(wrong) == len(right)


def test_the_kernel_shows_the_kfuncs_that_were_tagged(kernel: Booted) -> None:
    shown = (kernel.run.out / "encoded" / "btf").read_bytes()

    assert variants.tagged_kfuncs(Btf.parse(shown, kernel.base)) == variants.ITERATOR


def test_what_kbtf_builds_is_no_longer_than_what_kbuild_does(kernel: Booted) -> None:
    sizes = {
        name: sum(
            len(Module.open(str(kernel.modules[name])).image.data(section) or b"")
            for section in (".BTF", ".BTF.base")
        )
        for name in ("kbuild", "built")
    }

    assert sizes["built"] <= 1.2 * sizes["kbuild"]
