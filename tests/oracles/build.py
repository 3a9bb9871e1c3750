# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Builds the peers, libbpf and bpftool, from Debian's kernel source, once for each version of it.

As a program: `python tests/oracles/build.py [--into DIR] libbpf|bpftool|all` prints their paths.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

SOURCE = "linux-source-6.12"
WANTED = (
    "kernel/bpf",
    "scripts/bpf_doc.py",
    "tools/arch",
    "tools/bpf/bpftool",
    "tools/build",
    "tools/include",
    "tools/lib",
    "tools/scripts",
)
ORACLE = Path(__file__).with_name("btf_oracle.c")


class Missing(Exception):  # noqa: N818 - not an error: tests skip or fail on it as they choose
    """Something that this machine would need is not here; the text says what."""


def cache_root() -> Path:
    """The folder that keeps what is expensive to make between runs."""
    chosen = os.environ.get("KBTF_TEST_CACHE")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "kbtf-tests"


def once(target: Path, make: Callable[[Path], None]) -> Path:
    """Returns `target`; if it is not there yet, `make(path)` makes it elsewhere, to be moved there.

    Several processes may ask at once: one makes it, the others wait.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_name(f".{target.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            prefix = f".{target.name}-"
            for killed in target.parent.glob(f"{prefix}*"):
                shutil.rmtree(killed)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as folder:
                made = Path(folder) / target.name
                make(made)
                made.rename(target)
    return target


def need(*programs: str) -> None:
    """Raises `Missing` for the first program that is not installed."""
    for program in programs:
        if not shutil.which(program):
            raise Missing(f"{program} is not installed")


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Runs a command and returns its standard output; its messages end up in the exception."""
    words = [str(word) for word in command]
    need(words[0])
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}\n{said}")
    return done.stdout


def source_version() -> str:
    """The version of the installed package of the kernel source."""
    try:
        version = run("dpkg-query", "-W", "-f", "${Version}", SOURCE)
    except RuntimeError:
        version = ""
    if not version:
        raise Missing(f"the Debian package {SOURCE} is not installed")
    return version


def kernel_source(into: Path | None = None) -> Path:
    """The part of the kernel source that the peers are built from."""
    tarball = Path(f"/usr/src/{SOURCE}.tar.xz")
    version = source_version()
    if not tarball.exists():
        raise Missing(f"{tarball} is missing although {SOURCE} is installed")

    return unpacked(tarball, (into or cache_root()) / f"{SOURCE}_{version}" / "source")


def unpacked(tarball: Path, target: Path, wanted: tuple[str, ...] = WANTED) -> Path:
    """`target`, with a part of a kernel source: what the peers are built from, if not told."""

    def unpack(path: Path) -> None:
        need("tar", "xz")
        path.mkdir()
        members = [f"{tarball.name.removesuffix('.tar.xz')}/{name}" for name in wanted]
        options = ["--use-compress-program=xz -T2", "--strip-components=1", f"--directory={path}"]
        run("tar", f"--file={tarball}", "--extract", *options, *members)

    return once(target, unpack)


def libbpf(into: Path | None = None) -> Path:
    """A folder with `libbpf.a` and `include/bpf/`."""
    return libbpf_of(kernel_source(into))


def libbpf_of(source: Path) -> Path:
    """The same, from any kernel source."""

    def make(path: Path) -> None:
        need("gcc", "make", "python3")
        work = path.with_name("work")
        work.mkdir()
        options = [f"OUTPUT={work}/", f"DESTDIR={path}", "prefix="]
        goals = [f"{work}/libbpf.a", "install_headers"]
        run("make", "-s", "-j2", "-C", source / "tools/lib/bpf", *options, *goals)
        shutil.copy(work / "libbpf.a", path)

    return once(source.with_name("libbpf"), make)


def libbpf_tool(into: Path | None = None) -> Path:
    """The program `btf_oracle`, which does with libbpf what we do ourselves."""
    return oracle_with(libbpf(into))


def oracle_with(library: Path) -> Path:
    """The same, with any libbpf."""
    text = hashlib.sha256(ORACLE.read_bytes()).hexdigest()[:12]

    def make(path: Path) -> None:
        compiler = ["gcc", "-O2", "-g", "-Wall", "-Wextra", "-Werror", f"-I{library}/include"]
        run(*compiler, "-o", path, ORACLE, library / "libbpf.a", "-lelf", "-lz")

    return once(library.with_name(f"btf_oracle-{text}"), make)


def newest_libbpf_tool(into: Path | None = None) -> Path:
    """`btf_oracle` with the libbpf whose sources are in the directory ``$KBTF_NEWEST_LIBBPF``.

    Debian has none whose btf__dedup() joins typedefs with the base: that takes a checkout of
    https://github.com/libbpf/libbpf of June 2026 or later.
    """
    source = os.environ.get("KBTF_NEWEST_LIBBPF", "")
    if not (Path(source) / "src" / "btf.c").is_file():
        raise Missing("$KBTF_NEWEST_LIBBPF names no checkout of libbpf")
    text = hashlib.sha256((Path(source) / "src" / "btf.c").read_bytes()).hexdigest()[:12]

    def make(path: Path) -> None:
        need("gcc", "make")
        path.mkdir()
        work = path.with_name("work")
        options = ["BUILD_STATIC_ONLY=y", f"OBJDIR={work}", f"DESTDIR={path}", "PREFIX=", "LIBDIR="]
        run("make", "-s", "-j2", "-C", Path(source) / "src", *options, "install")

    return oracle_with(once((into or cache_root()) / f"libbpf-{text}" / "libbpf", make))


def bpftool(into: Path | None = None) -> Path:
    """The kernel's own bpftool, without what needs further packages: skeletons, disassembler."""
    source = kernel_source(into)

    def make(path: Path) -> None:
        need("gcc", "make", "python3")
        work = path.with_name("work")
        work.mkdir()
        # An empty list of features turns all optional ones off, whatever is installed.
        options = [f"OUTPUT={work}/", "FEATURES_DUMP=/dev/null"]
        run("make", "-s", "-j2", "-C", source / "tools/bpf/bpftool", *options)
        shutil.copy(work / "bpftool", path)

    return once(source.with_name("bpftool"), make)


PEERS = {"libbpf": libbpf_tool, "bpftool": bpftool}


def main() -> None:
    """Builds the peers named on the command line and prints their paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, metavar="DIR", help="instead of the usual cache")
    parser.add_argument("peer", choices=[*PEERS, "all"])
    options = parser.parse_args()
    into = options.into.absolute() if options.into else None
    for name, build in PEERS.items():
        if options.peer in (name, "all"):
            print(build(into))


if __name__ == "__main__":
    main()
