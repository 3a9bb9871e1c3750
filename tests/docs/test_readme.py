# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""README's session: a module that loses its kfunc for want of vmlinux, and gets it from kbtf."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import or_missing
from kbuild.kdirs import shadow
from oracles import build as oracles
from shown import block, steps
from vm import kernels, machine

from .test_tutorial import DIRECTORY, commands, environment, guest_files

pytestmark = pytest.mark.vm

GUEST = """\
mount -t bpf bpf /sys/fs/bpf
sudo() { "$@"; }
set -e
dmesg -n 1
"""


def bare(text: str) -> str:
    """Without what differs from one run to the next."""
    text = re.sub(r"\[ *\d+\.\d+\]|\d+ns", "", text)
    return " ".join(text.split())


def test_the_session_of_readme(headers: Path, tmp_path: Path) -> None:
    with or_missing():
        oracles.need("clang", "gcc", "make", "pahole")
        env = environment(headers)
        kernel = kernels.own_kernel(headers, Path("/boot"))
    kdir = shadow(headers, tmp_path / "headers", "vmlinux")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "Makefile").write_text("obj-m := counter.o\n")
    for name in ("counter.c", "count.bpf.c"):
        (folder / name).write_text(block("docs/tutorial.md", name))
    (compile_bpf, _), *_ = commands("link")
    subprocess.run(["sh", "-c", compile_bpf], cwd=folder, env=env, check=True)

    before, after = block("README.md", "before"), block("README.md", "after")
    (make, *loading), (run, *calling) = steps(before), steps(after)
    for (command, shown), kept in ((make, "linked.ko"), (run, "counter.ko")):
        command = command.replace("/lib/modules/$(uname -r)/build", str(kdir))
        done = subprocess.run(
            ["sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True
        )
        printed = (done.stdout + done.stderr).replace(str(folder), DIRECTORY)
        assert bare(printed) == bare(shown), command
        if kept != "counter.ko":
            shutil.copy(folder / "counter.ko", folder / kept)

    lines = ["mkdir before", "cp linked.ko before/counter.ko", "cd before"]
    for n, (command, _) in enumerate([*loading, *calling]):
        lines += ["cd /"] * (n == len(loading))
        lines.append(f"{{ {command}; }} >/out/{n} 2>&1")
    script = tmp_path / "script"
    script.write_text("\n".join([GUEST, *lines, ""]))
    run_there = machine.run_in(kernel, script, guest_files(folder), tmp_path / "machine")
    for n, (command, shown) in enumerate([*loading, *calling]):
        assert bare((run_there.out / str(n)).read_text()) == bare(shown), command
    assert "Return value: 7," in shown
