# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The kernel's BPF selftests, compiled with kbtf's header, load as `kbtf ksyms` predicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import or_missing
from oracles import build as oracles
from vm import kernels, machine, selftests
from vm.externs import compare_calls, compare_externs, compare_insns, seen
from vm.predicted import told

if TYPE_CHECKING:
    from vm.externs import Seen

pytestmark = pytest.mark.vm

FEWEST = 40
"""Objects with externs that are compared, at least."""


@pytest.fixture(scope="module")
def results(
    headers: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[dict[str, Any], Seen]]:
    """What was predicted of each object, and what libbpf and the kernel then did."""
    work = tmp_path_factory.mktemp("selftests")
    with or_missing():
        source = selftests.source()
        modules = selftests.build_modules(source, headers, work)
        objects = selftests.build_objects(source, headers, work / "objects")
        listed = work / "modules"
        listed.write_text("".join(f"{path.name}\n" for path in modules))
        files = {"modules": listed}
        files |= {path.name: path for path in modules}
        files |= {f"objects/{path.stem}": path for path in objects}
        files["ksyms"] = machine.compile_tool(machine.GUEST / "ksyms.c", work, oracles.libbpf())
        kernel = kernels.own_kernel(headers, Path("/boot"))
        # libbpf reads it for externs of .kconfig
        configuration = f"config-{kernel.release}"
        files[f"boot/{configuration}"] = kernel.image.with_name(configuration)
        script = machine.GUEST / "selftests.sh"
        run = machine.run_in(kernel, script, files, work / "guest", memory="1G")
    predicted = {path.stem: predict(path, modules, headers / "vmlinux") for path in objects}
    return {name: (said, seen(run, name)) for name, said in predicted.items()}


def predict(path: Path, modules: list[Path], base: Path) -> dict[str, Any]:
    """What `kbtf ksyms` says."""
    return told("ksyms", "--base", base, path, *(f"--module={module}" for module in modules))


def test_all_externs_are_where_they_were_predicted(
    results: dict[str, tuple[dict[str, Any], Seen]],
) -> None:
    compared = 0
    for name, (said, was) in results.items():
        print(name)  # pytest shows it with a failure
        compare_externs(said, was)
        if not any(extern["status"] == "failed" for extern in said["externs"]):
            compare_insns(said, was)
        compare_calls(said, was)
        compared += bool(said["externs"])
    assert compared >= FEWEST
