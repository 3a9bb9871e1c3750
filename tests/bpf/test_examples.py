# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The examples with BPF programs build, find their kfuncs, and clean up; docs show what happens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bpf.examples import KERNEL, make_congestion_control, make_customers
from conftest import or_missing
from kbtf import Module
from real import BUILD_PRODUCTS
from shown import block, run_session, sh

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def congestion_control(root: Path, headers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/tcp_congestion, built."""
    with or_missing():
        return make_congestion_control(root, tmp_path_factory.mktemp("tcp") / "built", headers)


def test_the_module_is_built_with_and_without_btf(
    root: Path, headers: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "kfunc_module"
    shutil.copytree(root / "examples/kfunc_module", folder, ignore=BUILD_PRODUCTS)
    before = {path.name for path in folder.iterdir()}
    *ways, clean = block("examples/kfunc_module/README.md", "make", {KERNEL: headers}).splitlines()

    has_btf = []
    for way in ways:
        sh(way, folder, KDIR=str(headers))
        image = Module.open(str(folder / "kfunc_module.ko")).image
        has_btf.append(image.section(".BTF") is not None)
        sh(clean, folder, KDIR=str(headers))

    assert has_btf == [True, True, False]
    assert {path.name for path in folder.iterdir()} == before


def in_json(shown: str, folder: Path) -> dict[str, Any]:
    """What a command of a page says in JSON of what must load."""
    return dict(json.loads(sh(f"{shown.rstrip()} --json", folder)))


def congestion_control_ksyms(vmlinux: Path) -> str:
    here = {"/sys/kernel/btf/vmlinux": vmlinux}
    return block("examples/tcp_congestion/README.md", "ksyms", here)


def test_the_congestion_control_finds_its_kfuncs(congestion_control: Path, vmlinux: Path) -> None:
    said = in_json(congestion_control_ksyms(vmlinux), congestion_control)

    found = {extern["name"]: extern["kfunc_set"] for extern in said["externs"]}
    assert found.pop("steady_pace") is None
    assert set(found.values()) == {"steady_ids"}


def test_the_congestion_control_cleans_up(
    congestion_control: Path, headers: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(congestion_control, tmp_path / "copy"))
    *_, clean = block("examples/tcp_congestion/README.md", "make", {KERNEL: headers}).splitlines()
    sh(clean, copy, KDIR=str(headers))

    left = {path.name for path in copy.iterdir()}
    assert left == {"Makefile", "README.md", "eager.bpf.c", "steady.c", "transfer.c"}


def test_the_light_skeleton_finds_its_kfuncs(
    root: Path, kfunc_module: Path, vmlinux: Path, tmp_path: Path
) -> None:
    with or_missing():
        folder = make_customers(root, tmp_path / "c")
    shutil.copy(kfunc_module, folder)
    sh(f"kbtf run -q --base {vmlinux} kfunc_module.ko", folder)
    here = {"/sys/kernel/btf/vmlinux": vmlinux}
    said = in_json(block("examples/kfunc_module/README.md", "ksyms", here), folder)

    status = {extern["name"]: extern["status"] for extern in said["externs"]}
    assert status.pop("kfunc_module_forget") == "missing"
    assert set(status.values()) == {"resolved"}


def test_the_session_of_the_documentation_shows_what_happens(
    congestion_control: Path, vmlinux: Path
) -> None:
    here = {"/sys/kernel/btf/vmlinux": vmlinux}
    run_session(block("docs/ksyms.md", "ksyms session", here), congestion_control)


def test_the_python_of_the_documentation_finds_what_the_command_finds(
    congestion_control: Path, vmlinux: Path
) -> None:
    script = block("docs/ksyms.md", "python", {'"vmlinux"': repr(str(vmlinux))})
    printed = sh(f"python -P - <<'END'\n{script}END\n", congestion_control)

    said = in_json(congestion_control_ksyms(vmlinux), congestion_control)
    assert printed.splitlines() == [
        f"{extern['name']} {extern['status']} {extern['type_id'] or 0}"
        for extern in said["externs"]
    ]
