# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernels, the objects with externs, and what the guests did with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bpf.examples import make_congestion_control, make_customers
from conftest import or_missing
from oracles import build as oracles
from shown import block
from vm import kernels, machine
from vm.externs import CASES, FOLLOWED, Parts, compile_bpf, make
from vm.variants import KBTF


@pytest.fixture(scope="session")
def both(headers: Path) -> dict[str, kernels.Kernel]:
    """The kernels to boot."""
    with or_missing():
        own = kernels.own_kernel(headers, Path("/boot"))
        return {"own": own, "other": kernels.other_kernel(own)}


@pytest.fixture(scope="session")
def parts(
    both: dict[str, kernels.Kernel],
    headers: Path,
    kfunc_module: Path,
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Parts:
    """Modules with BTF, objects, and the programs for the guest."""
    work = tmp_path_factory.mktemp("ksyms")
    with or_missing():
        libbpf = oracles.libbpf()
        linked = make(root / "tests/modules/twins", work / "twins", headers)
        modules = {path.stem: path for path in linked}
        modules["kfunc_module"] = Path(shutil.copy(kfunc_module, work))
        plain = work / "plain_kfunc_module.ko"
        modules[plain.stem] = Path(shutil.copy(kfunc_module, plain))
        example = make_congestion_control(root, work / "tcp", headers)
        modules["steady"] = example / "steady.ko"
        base: list[str | Path] = ["--base", headers / "vmlinux"]
        for name, path in modules.items():
            if name != "steady":
                how = "never" if path == plain else "auto"
                oracles.run(KBTF, "run", "-q", "--distill", how, *base, path)
        objects = {}
        for case in CASES:
            source = machine.GUEST / "ksyms" / f"{case.object}.bpf.c"
            objects[case.name] = compile_bpf(source, work / "o" / case.name, libbpf, case.flags)
        tools = {
            name: machine.compile_tool(machine.GUEST / f"{name}.c", work, libbpf)
            for name in ("load", "ksyms")
        }
        tools["transfer"] = example / "transfer"
        tools["customers"] = make_customers(root, work / "c") / "customers"
    bases = {"own": headers / "vmlinux", "other": both["other"].image}
    return Parts(modules, objects, example / "eager.bpf.o", bases, tools)


@pytest.fixture(scope="session")
def runs(
    both: dict[str, kernels.Kernel], parts: Parts, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, machine.Run]:
    """Both kernels with all cases and both loaders, one after the other."""
    work = tmp_path_factory.mktemp("ksyms-guest")
    listed = work / "cases"
    lines = [
        f"{case.name}-{loader} {loader} {case.name}.bpf.o "
        + " ".join(f"/{name}.ko" for name in case.modules)
        for case in CASES
        for loader in ("libbpf", "light")
    ]
    listed.write_text("".join(f"{line}\n" for line in lines))
    files = {"cases": listed, "eager.bpf.o": parts.eager, **parts.tools}
    files |= {f"{name}.ko": path for name, path in parts.modules.items()}
    files |= {f"{name}.bpf.o": path for name, path in parts.objects.items()}
    for name, (page, mark, here) in FOLLOWED.items():
        files[f"{name}.sh"] = work / f"{name}.sh"
        files[f"{name}.sh"].write_text(block(page, mark, here))
    script = machine.GUEST / "ksyms.sh"
    with or_missing():
        return {
            which: machine.run_in(kernel, script, files, work / which)
            for which, kernel in both.items()
        }
