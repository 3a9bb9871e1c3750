# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The examples with BPF programs build, find their kfuncs, and clean up; docs show what happens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bpf.examples import HERE, make_congestion_control, make_customers
from conftest import missing
from oracles import build as oracles
from shown import block, run_session, sh

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def congestion_control(root: Path, headers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/tcp_congestion, built."""
    try:
        return make_congestion_control(root, tmp_path_factory.mktemp("tcp") / "built", headers)
    except oracles.Missing as error:
        missing(error)


def ksyms(folder: Path, *words: str | Path) -> dict[str, Any]:
    """What the command says in JSON of what must load."""
    command = [HERE / "kbtf", "ksyms", "--json", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_congestion_control_finds_its_kfuncs(congestion_control: Path, vmlinux: Path) -> None:
    said = ksyms(congestion_control, "--base", vmlinux, "--module", "steady.ko", "eager.bpf.o")

    found = {extern["name"]: extern["kfunc_set"] for extern in said["externs"]}
    assert found.pop("steady_pace") is None
    assert set(found.values()) == {"steady_ids"}


def test_the_congestion_control_cleans_up(
    congestion_control: Path, headers: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(congestion_control, tmp_path / "copy"))
    env = {**os.environ, "PATH": f"{HERE}:{os.environ['PATH']}"}
    subprocess.run(["make", "-C", copy, f"KDIR={headers}", "clean"], env=env, check=True)

    left = {path.name for path in copy.iterdir()}
    assert left == {"Makefile", "README.md", "eager.bpf.c", "steady.c", "transfer.c"}


def test_the_light_skeleton_finds_its_kfuncs(
    root: Path, kfunc_module: Path, vmlinux: Path, tmp_path: Path
) -> None:
    try:
        folder = make_customers(root, tmp_path / "c")
    except oracles.Missing as error:
        missing(error)
    module = shutil.copy(kfunc_module, tmp_path)
    oracles.run(HERE / "kbtf", "run", "-q", "--base", vmlinux, module)
    words: list[str | Path] = ["--loader", "light", "--base", vmlinux, "--module", module]
    said = ksyms(folder, *words, "customers.bpf.o")

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

    said = ksyms(congestion_control, "--base", vmlinux, "--module", "steady.ko", "eager.bpf.o")
    assert printed.splitlines() == [
        f"{extern['name']} {extern['status']} {extern['type_id'] or 0}"
        for extern in said["externs"]
    ]
