# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What `kbtf check` says of made-up BTF is what kernels 6.12 and 7.x do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conftest import or_missing
from kbtf import Module, relocate
from lab import kernels
from lab.debian import WHICH
from oracles import build as oracles
from vm import machine
from vm.crafted import CRAFTED, base_and_split
from vm.predicted import Booted, booted
from vm.variants import replace_section

if TYPE_CHECKING:
    from pathlib import Path

    from lab.debian import Debian
    from lab.installed import Installed

pytestmark = pytest.mark.vm

MISMATCH = "Kernel module BTF mismatch detected"


@pytest.fixture(scope="module", params=WHICH)
def kernel(
    request: pytest.FixtureRequest,
    lab: Debian,
    lab_kbtf: Installed,
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Booted:
    """One of the kernels of the lab."""
    work = tmp_path_factory.mktemp("rules")
    with or_missing():
        release = lab.release(request.param)
        target = kernels.kernel(lab, release)
        blank = lab_kbtf.linked(root / "tests/modules/blank", work / "blank", request.param)
        modules = {}
        for number, name in enumerate(CRAFTED):
            modules[name] = work / f"{number:02}.ko"
            modules[name].write_bytes(blank.read_bytes())
            base, split = base_and_split(name)
            replace_section(modules[name], ".BTF.base", base)
            replace_section(modules[name], ".BTF", split)
        files = {"load": machine.compile_tool(machine.GUEST / "load.c", work, oracles.libbpf())}
        files |= {f"variants/{path.stem}": path for path in modules.values()}
        run = machine.run_in(target, machine.GUEST / "rules.sh", files, work / "guest")
    return booted(target, modules, run)


@pytest.mark.parametrize("name", CRAFTED)
def test_the_kernel_does_what_was_predicted(name: str, kernel: Booted) -> None:
    module = kernel.modules[name]
    out = kernel.run.out / module.stem
    how = (out / "result").read_text().split()[0]
    dump = out / "btf"
    said = kernel.predicted[name]

    dmesg = (out / "dmesg").read_text()
    accepted = dump.exists()
    assert said["btf"] == ("accepted" if accepted else "refused"), (said["findings"], dmesg)
    loads = {"loaded": "loads" if accepted else "loads without BTF", "failed": "fails"}
    assert said["loading"] == loads[how], dmesg
    if accepted:
        split = Module.open(str(module)).btf
        assert split is not None
        assert dump.read_bytes() == relocate(split, kernel.base).to_bytes()
