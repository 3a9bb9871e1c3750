# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A virtual machine that runs one shell script on a kernel and gives back what it wrote.

There is no disk, no network and no KVM.  The script is `/test`, beside the files that it needs;
what it leaves in `/out` comes back over a serial line.  Success is told by the exit status of
QEMU's debug-exit device alone: a panic ends QEMU as a power-off does.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from oracles.build import Missing, need, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vm.kernels import Kernel

GUEST = Path(__file__).with_name("guest")
QEMU = "qemu-system-x86_64"
EXIT_STATUS_0 = 33
"""What QEMU ends with if guest/init writes 16 to the device; 2 more for each higher number."""
PATIENCE = 600
"""Seconds that a machine may take; a tenth is usual."""


class MachineError(Exception):
    """The script did not come to its end; the text has the end of the console."""


class Run(NamedTuple):
    """What a machine left."""

    out: Path
    """The folder `/out` of the guest."""
    console: str
    """What the kernel and the script printed."""
    seconds: float


def run_in(
    kernel: Kernel, script: Path, files: Mapping[str, Path], folder: Path, *, memory: str = "512M"
) -> Run:
    """Boots *kernel* and runs *script*; *files* are put where their names say in the guest.

    *folder*, which must not exist, gets all that is made.  MachineError if the script ends with
    another status than 0, or if the machine dies or hangs.
    """
    need(QEMU)
    folder.mkdir(parents=True)
    initramfs = folder / "initramfs"
    pack_initramfs(initramfs, {**files, "test": script}, folder / "tree")
    console, results = folder / "console", folder / "out.tar"
    # One thread for both processors: with two, one sometimes keeps the old code of an instruction
    # that the other rewrites (jump labels), and the kernel panics.
    command: list[str | Path] = [QEMU, "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2"]
    command += ["-m", memory]
    command += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    command += ["-kernel", kernel.image, "-initrd", initramfs]
    # The kernel would test the timer, and panic where this machine is too busy to answer in time.
    command += ["-append", "console=ttyS0 quiet panic=-1 no_timer_check"]
    command += ["-serial", f"file:{console}", "-serial", f"file:{results}"]
    command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
    start = time.monotonic()
    why = ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        why = f"no end after {PATIENCE} seconds"
    else:
        if done.returncode != EXIT_STATUS_0:
            why = f"QEMU ended with {done.returncode} {done.stderr}"
    seconds = time.monotonic() - start
    said = console.read_text(errors="replace") if console.exists() else ""
    if why:
        raise MachineError(f"{kernel.release}: {why}\n{said[-4000:]}")
    with tarfile.open(results) as tar:
        tar.extractall(folder, filter="data")
    return Run(folder / "out", said, seconds)


def pack_initramfs(initramfs: Path, files: Mapping[str, Path], tree: Path) -> None:
    """Writes an initramfs of *files*, guest/init and busybox; *tree* is where it is laid out."""
    need("cpio")
    for name in ("bin", "dev", "out", "proc", "sys", "tmp"):
        (tree / name).mkdir(parents=True)
    for name, source in {**files, "init": GUEST / "init", "bin/busybox": busybox()}.items():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        target.chmod(0o755)
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    # Not compressed: unpacking would take the guest longer than copying.
    with open(initramfs, "wb") as archive:
        subprocess.run(
            ["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"],
            input="\n".join(names).encode(),
            stdout=archive,
            cwd=tree,
            check=True,
        )


def busybox() -> Path:
    """The static busybox: the guest has no libraries."""
    need("busybox")
    path = Path(shutil.which("busybox") or "")
    if b"/ld-linux" in path.read_bytes():
        raise Missing("busybox is not static: install busybox-static")
    return path


def compile_tool(source: Path, into: Path, libbpf: Path) -> Path:
    """A static program for the guest, with libbpf."""
    need("gcc")
    program = into / source.stem
    options = ["-O2", "-Wall", "-Wextra", "-Werror", "-static", f"-I{libbpf}/include"]
    run("gcc", *options, "-o", program, source, libbpf / "libbpf.a", "-lelf", "-lz")
    return program


def compile_bpf(source: Path, into: Path, libbpf: Path) -> Path:
    """The object of BPF programs."""
    need("clang", "gcc")
    compiled = into / f"{source.name.removesuffix('.c')}.o"
    # The target has no folder for asm/types.h of its own.
    machine = run("gcc", "-print-multiarch").strip()
    options = ["-mcpu=v3", "-O2", "-g", "-Wall", "-Werror"]
    options += [f"-I{libbpf}/include", f"-I/usr/include/{machine}"]
    run("clang", "-target", "bpf", *options, "-c", source, "-o", compiled)
    return compiled
