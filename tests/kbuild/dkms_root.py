# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The real dkms with folders of its own, packages for it, and what it installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import signing
from oracles.build import Missing, need, run

__all__ = ["DROP_IN", "DkmsRoot", "unpacked"]

HERE = Path(sys.executable).parent
PLACES = re.compile(r"(?<![\w/])/(etc/dkms|lib/modules|var/lib/dkms|usr/src)\b")
DROP_IN = (
    "etc/dkms/framework.conf.d/kbtf.conf",
    "etc/dkms/kbtf/make",
    "etc/dkms/kbtf/hook.mk",
)
TOOLS = {".gz": "gzip", ".xz": "xz", ".zst": "zstd"}
PACKAGE = """\
PACKAGE_NAME="{name}"
PACKAGE_VERSION="1.0"
AUTOINSTALL="yes"
"""
ONE_MODULE = """\
BUILT_MODULE_NAME[0]="{name}"
DEST_MODULE_LOCATION[0]="/updates"
"""


class DkmsRoot:
    """The installed dkms, changed in one thing: it works below a folder, not below ``/``.

    dkms has options for its trees but none for /etc/dkms, nor for the modules.dep that tells it
    how to compress.
    """

    def __init__(self, root: Path, kdir: Path, release: str) -> None:
        need("dkms", "openssl", "make", "gcc")
        if os.geteuid():
            raise Missing("dkms installs modules only as root")
        self.root = root
        self.release = release
        self._program = root / "dkms"
        text = Path(shutil.which("dkms") or "").read_text()
        self._program.write_text(PLACES.sub(rf"{root}/\1", text))
        self._program.chmod(0o755)
        for name in ("etc/dkms/framework.conf.d", "usr/src", "var/lib/dkms"):
            (root / name).mkdir(parents=True)
        self.modules = root / "lib/modules" / release
        self.modules.mkdir(parents=True)
        (self.modules / "build").symlink_to(kdir)
        self.compress("xz")
        self.mok = signing.make_pair(root / "var/lib/dkms", "DKMS")
        (root / "etc/dkms/framework.conf").write_text(
            f"mok_signing_key={self.mok.key}\nmok_certificate={self.mok.cert}\n"
        )

    def compress(self, suffix: str) -> None:
        """Have modules compressed as the kernel's are: by modules.dep, by their names since 3.1."""
        shutil.rmtree(self.modules / "kernel", ignore_errors=True)
        (self.modules / "kernel").mkdir()
        name = f"kernel/a.ko{suffix and '.' + suffix}"
        (self.modules / name).touch()
        (self.modules / "modules.dep").write_text(f"{name}:\n")

    def add_package(self, source: Path, name: str, conf: str = ONE_MODULE) -> Path:
        """A package of the sources in a folder; its folder in the source tree."""
        package = self.root / "usr/src" / f"{name}-1.0"
        shutil.copytree(source, package, ignore=shutil.ignore_patterns("*.o", "*.ko", ".*"))
        (package / "dkms.conf").write_text((PACKAGE + conf).replace("{name}", name))
        return package

    def enable(self, program: str | Path = HERE / "kbtf") -> None:
        """The drop-in, as ``kbtf dkms enable`` writes it."""
        run(HERE / "kbtf", "dkms", "enable", "--root", self.root, "--program", program)

    def __call__(self, *args: object, **env: str) -> subprocess.CompletedProcess[str]:
        """Run dkms as the package manager does: no terminal, no home, few variables."""
        return self._run(str(self._program), *map(str, args), **env)

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run commands in the same way; their ``dkms`` is this one."""
        return self._run("sh", "-ec", f'dkms() {{ {self._program} "$@"; }}; {script}')

    def _run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        folders = ":".join([str(HERE), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
        return subprocess.run(
            command,
            env={"PATH": folders, "LC_ALL": "C", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            check=False,
        )

    def install(self, name: str, **env: str) -> str:
        """Build and install a package, which must not fail; what its make.log has."""
        done = self("install", f"{name}/1.0", "-k", self.release, "--no-depmod", **env)
        assert done.returncode == 0, done.stdout + self.log(name)
        return self.log(name)

    def log(self, name: str) -> str:
        """make.log of a package's last build, good or bad; the commands of make with it."""
        logs = [*(self.root / "var/lib/dkms" / name).rglob("make.log")]
        return "\n".join(path.read_text() for path in logs)

    def installed(self, name: str) -> Path:
        """The module of that name, as it was installed."""
        (path,) = [p for p in self.modules.rglob(f"{name}.ko*") if p.is_file()]
        return path


def unpacked(path: Path) -> bytes:
    """The content of a module that dkms may have compressed."""
    tool = TOOLS.get(path.suffix)
    if not tool:
        return path.read_bytes()
    need(tool)
    return subprocess.run([tool, "-dc", path], stdout=subprocess.PIPE, check=True).stdout
