# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The tutorial, from the empty folder to the kfunc that is called; and what the CI page shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import or_missing
from kbtf import Module
from oracles import build as oracles
from shown import block, normalised, sh, steps
from vm import kernels, machine

PAGE = "docs/tutorial.md"
DIRECTORY = "/home/you/counter"  # where the reader is
FILES = ("counter.c", "Makefile", "count.bpf.c")
# What stands around the commands in the machine; a BPF program keeps its module for some tenths of
# a second after it is gone.
GUEST = """\
mount -t bpf bpf /sys/fs/bpf
sudo() { "$@"; }
rmmod() { for _ in $(seq 100); do /bin/rmmod "$@" 2>/dev/null && return; sleep 0.1; done; false; }
set -e
dmesg -n 1
dmesg -c >/out/boot
insmod linked.ko
rmmod counter
dmesg -c >/out/dmesg
"""


def environment(kdir: Path) -> dict[str, str]:
    """The kbtf that is tested is on PATH, and modules are built with *kdir*."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("KBTF_")}
    include = oracles.libbpf() / "include"
    path = f"{Path(sys.executable).parent}:{env['PATH']}"
    return {**env, "PATH": path, "KDIR": str(kdir), "C_INCLUDE_PATH": str(include)}


def commands(name: str) -> list[tuple[str, str]]:
    """Each command of a session of the page and the output shown below it."""
    return steps(block(PAGE, name))


@pytest.fixture(scope="module")
def followed(
    headers: Path, vmlinux: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[tuple[str, str, str]]]:
    """The folder of someone who followed the page; command, what is shown, what was printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name in FILES:
        (folder / name).write_text(block(PAGE, name))
    with or_missing():
        oracles.need("clang", "gcc", "make")
        env = environment(headers)
    seen = []
    for command, shown in [*commands("build"), *commands("link")]:
        words = command.replace("/sys/kernel/btf/vmlinux", str(vmlinux))
        done = subprocess.run(["sh", "-c", words], cwd=folder, env=env, capture_output=True)
        text = done.stdout.decode() + done.stderr.decode()
        assert done.returncode == 0, text
        seen.append((command, shown, text))
    return folder, seen


@pytest.mark.integration
def test_what_is_installed_can_be(headers: Path, tmp_path: Path) -> None:
    with or_missing():
        oracles.need("apt-get")
    here = {"sudo apt-get": "apt-get --simulate", "linux-headers-$(uname -r)": headers.name}
    sh(block(PAGE, "install", here), tmp_path)


@pytest.mark.integration
def test_a_release_or_a_directory_names_the_kernel(headers: Path, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_text(block(PAGE, name))
    release = headers.name.removeprefix("linux-headers-")
    for line in block(PAGE, "another kernel", {"6.12.0-amd64": release}).splitlines():
        (tmp_path / "counter.ko").unlink(missing_ok=True)
        sh(line.replace(f"/usr/src/linux-headers-{release}", str(headers)), tmp_path)
        assert Module.open(str(tmp_path / "counter.ko")).release == release


@pytest.mark.integration
def test_it_prints_what_is_shown(followed: tuple[Path, list[tuple[str, str, str]]]) -> None:
    _, seen = followed
    for command, shown, text in seen:
        printed = text.replace(str(followed[0]), DIRECTORY)
        assert normalised(printed) == normalised(shown), command


def guest_files(folder: Path) -> dict[str, Path]:
    """What the machine needs: the results, and bpftool with its libraries."""
    bpftool = oracles.bpftool()
    said = oracles.run("ldd", bpftool)
    files = {library.lstrip("/"): Path(library) for library in re.findall(r"(/\S+) \(", said)}
    names = ("counter.ko", "count.bpf.o", "linked.ko")
    return {**files, **{name: folder / name for name in names}, "bin/bpftool": bpftool}


@pytest.mark.vm
def test_the_kfunc_is_called(
    followed: tuple[Path, list[tuple[str, str, str]]], headers: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(followed[0], folder)
    # As make alone leaves it where the headers have no vmlinux.
    linked = folder / "linked.ko"
    options = ["--remove-section=.BTF", "--remove-section=.BTF.base"]
    subprocess.run(["objcopy", *options, folder / "counter.ko", linked], check=True)
    session = [*commands("load"), *commands("unload")]
    lines = [f"{{ {command}; }} >/out/{n} 2>&1" for n, (command, _) in enumerate(session)]
    script = tmp_path / "script"
    script.write_text("\n".join([GUEST, *lines, ""]))
    with or_missing():
        kernel = kernels.own_kernel(headers, Path("/boot"))
        run = machine.run_in(kernel, script, guest_files(folder), tmp_path / "machine")

    assert "missing module BTF, cannot register kfunc" in (run.out / "dmesg").read_text()
    for n, (command, shown) in enumerate(session):
        printed = (run.out / str(n)).read_text()
        assert re.sub(r"\d+ns", "", printed) == re.sub(r"\d+ns", "", shown), command


@pytest.mark.integration
def test_the_job_of_the_ci_page(headers: Path, tmp_path: Path) -> None:
    with or_missing():
        oracles.need("dpkg-deb", "gcc", "make", "pahole")
        kernel = kernels.own_kernel(headers, Path("/boot"))
        env = environment(headers)
    (tmp_path / "mymodule.c").write_text(block(PAGE, "counter.c"))
    (tmp_path / "Makefile").write_text("obj-m := mymodule.o\n")
    package_an_image(kernel, tmp_path)
    env["PATH"] = f"{tmp_path}/bin:{env['PATH']}"
    job = block("docs/ci.md", "kernels") + block("docs/ci.md", "job")
    script = job.replace("/usr/src/linux-headers-R", str(headers))
    done = subprocess.run(["sh", "-ec", script], cwd=tmp_path, env=env, capture_output=True)

    assert done.returncode == 0, done.stderr.decode()
    report = (tmp_path / "check.xml").read_text()
    assert f"vmlinuz-{kernel.release}" in report or kernel.release in report
    assert "<failure" not in report


def package_an_image(kernel: kernels.Kernel, folder: Path) -> None:
    """A package of *kernel*, and an apt-get that downloads it."""
    root = folder / "root"
    (root / "boot").mkdir(parents=True)
    (root / "DEBIAN").mkdir()
    shutil.copy(kernel.image, root / "boot")
    control = "Package: linux-image-test\nVersion: 1\nArchitecture: all\n"
    control += "Maintainer: nobody <nobody@example.org>\nDescription: a kernel\n"
    (root / "DEBIAN/control").write_text(control)
    package = folder / "package"
    oracles.run("dpkg-deb", "-Znone", "--build", root, package)
    (folder / "bin").mkdir()
    script = folder / "bin/apt-get"
    script.write_text(f'#!/bin/sh\n[ "$1" = download ] && cp {package} linux-image-test.deb\n')
    script.chmod(0o755)
