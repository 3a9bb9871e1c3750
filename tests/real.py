# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Real parts to test with: BTF of kernels, headers, modules by Kbuild, and of other machines.

Each function raises `Missing` where this machine has not got what it takes.
"""

import hashlib
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from oracles.build import Missing, cache_root, need, once, run

__all__ = [
    "Missing",
    "build_module",
    "corpus",
    "debian_resolve_btfids",
    "foreign_modules",
    "newest_headers",
]

DATA = Path(__file__).parent / "data"
HEADERS = re.compile(r"linux-headers-(?P<version>\d+(\.\d+)+(-\d+)?(\+\w+)?)-(?P<flavour>.+)")
BUILD_PRODUCTS = shutil.ignore_patterns(
    "*.ko", "*.o", "*.mod", "*.mod.c", ".*", "Module.symvers", "modules.order"
)

FOREIGN_KERNELS = {
    "arm64": "linux-image-arm64",
    "i386": "linux-image-686",
    "s390x": "linux-image-s390x",
}
FOREIGN_PARTS = re.compile(
    r"boot/vmlinuz-.+|boot/config-.+|.*/kernel/net/ipv[46]/[^/]+\.ko|.*/kernel/lib/[^/]+\.ko"
)

APT_CONFIG = """\
#clear APT::Architectures;
APT::Architecture "{arch}";
APT::Sandbox::User "";
Acquire::Languages "none";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
"""


def corpus() -> Path:
    """The directory with what `data/README.md` describes; not to be written to."""
    return _unpacked("debian-6.12.tar.xz", "corpus")


def encoding_cases() -> Path:
    """The directory with modules to encode, and the BTF that pahole makes of them."""
    return _unpacked("encode.tar.xz", "encode")


def _unpacked(archive: str, name: str) -> Path:
    digest = hashlib.sha256((DATA / archive).read_bytes()).hexdigest()

    def unpack(path: Path) -> None:
        with tarfile.open(DATA / archive) as opened:
            opened.extractall(path, filter="data")

    return once(cache_root() / f"{name}-{digest[:16]}", unpack)


def newest_headers(flavour: str = "amd64") -> Path:
    """The build folder of the newest installed kernel headers that come with a `vmlinux`."""
    found = []
    for vmlinux in Path("/usr/src").glob("linux-headers-*/vmlinux"):
        match = HEADERS.fullmatch(vmlinux.parent.name)
        if match and match["flavour"] == flavour:
            numbers = [int(number) for number in re.findall(r"\d+", match["version"])]
            found.append((numbers, vmlinux.parent))
    if not found:
        raise Missing(f"no linux-headers of flavour {flavour} with a vmlinux under /usr/src")
    return max(found)[1]


def debian_resolve_btfids(headers: Path) -> Path:
    """The resolve_btfids that Kbuild runs with these headers."""
    program = (headers / "tools/bpf/resolve_btfids/resolve_btfids").resolve()
    if not program.exists():
        raise Missing(f"{headers.name} has no resolve_btfids")
    return program


def build_module(source_dir: Path, into: Path, headers: Path, *make_args: str) -> Path:
    """Builds the one module of `source_dir` with Kbuild in a copy, `into`; returns the `.ko`."""
    need("gcc", "make")
    shutil.copytree(source_dir, into, ignore=BUILD_PRODUCTS, dirs_exist_ok=True)
    run("make", "-j2", "-C", headers, f"M={into.resolve()}", "modules", *make_args)
    built = sorted(into.glob("*.ko"))
    if len(built) != 1:
        raise RuntimeError(f"{source_dir} should give one module, not {len(built)}")
    return built[0]


def foreign_modules(arch: str) -> Path:
    """A folder with `boot/` and `lib/modules/` of Debian 12's 6.1 kernel for `arch`, in part.

    `arch` is a key of `FOREIGN_KERNELS`. The modules are signed and not compressed. Only arm64's
    have BTF: on i386 and s390x Debian does not set CONFIG_DEBUG_INFO_BTF, vmlinuz has none either.
    """

    def make(path: Path) -> None:
        need("apt-get", "dpkg-deb")
        path.mkdir()
        keep_parts(download(FOREIGN_KERNELS[arch], arch, path.parent), path)

    return once(cache_root() / f"foreign-{arch}", make)


def download(meta: str, arch: str, folder: Path) -> Path:
    """Downloads the kernel that the package `meta` depends on; returns the package's file.

    apt works for `arch` on a state of its own in `folder`, with the machine's sources and keys.
    """
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    config = folder / "apt.conf"
    config.write_text(APT_CONFIG.format(arch=arch, folder=folder))
    # A mirror may be out of step with its signed index of one suite: apt leaves that suite out,
    # and the kernel of another suite, verified as always, serves as well.
    skipped = ""
    try:
        run("apt-get", "-qq", "-c", config, "update")
    except RuntimeError as error:
        skipped = str(error)
    try:
        depends = run("apt-cache", "-c", config, "depends", "--important", meta)
        package = re.search(r"Depends: (linux-image-6\.1\.\S+)", depends)
        if not package:
            raise Missing(f"{meta} for {arch} depends on no 6.1 kernel: {depends}\n{skipped}")
        run("apt-get", "-qq", "-c", config, "download", f"{package[1]}:{arch}", cwd=folder)
    except RuntimeError as error:
        raise Missing(f"no {meta} for {arch}: {error}\n{skipped}") from error
    (deb,) = folder.glob("*.deb")
    return deb


def keep_parts(deb: Path, into: Path) -> None:
    """Unpacks what matches `FOREIGN_PARTS`, and every module that has a section `.BTF_ids`."""
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as unpack,
        tarfile.open(fileobj=unpack.stdout, mode="r|") as tar,
    ):
        for member in tar:
            name = member.name.removeprefix("./")
            content = tar.extractfile(member) if member.isfile() else None
            if not content:
                continue
            data = content.read()
            if FOREIGN_PARTS.fullmatch(name) or (".ko" in name and b"\0.BTF_ids\0" in data):
                target = into / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
