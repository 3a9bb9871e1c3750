# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""kbtf, installed in the lab's Debian with the command that README shows."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from real import BUILD_PRODUCTS
from shown import block
from sources import copy_sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.debian import Debian

__all__ = ["CLANG", "Installed", "installed"]

_, _, *CLANG = block("docs/kbuild.md", "clang 19").replace("\\\n", " ").split()
"""What makes Kbuild call the clang of that Debian."""


class Installed:
    """The Debian with this kbtf; others may have theirs in it at the same time."""

    def __init__(self, debian: Debian, programs: Path) -> None:
        self.debian = debian
        self.programs = programs

    def headers(self, which: str) -> Path:
        """The kernel build directory of a kernel of the lab, as it is called inside."""
        return self.debian.headers(self.debian.release(which))

    def linked(self, source: Path, into: Path, which: str, *arguments: str) -> Path:
        """The one module of a directory as the linker leaves it: DWARF, no BTF."""
        shutil.copytree(source, into, ignore=BUILD_PRODUCTS)
        no_btf = "PAHOLE=true RESOLVE_BTFIDS=true cmd_btf_ko= quiet_cmd_btf_ko="
        self.sh(
            f"make -s -C {self.headers(which)} M=/mnt {no_btf} {' '.join(arguments)} modules", into
        )
        (module,) = into.glob("*.ko")
        return module

    def add_meson(self) -> None:
        """Put the newest Meson beside kbtf."""
        if not (self.debian.root / str(self.programs).lstrip("/") / "meson").exists():
            self.debian.run(self.programs / "pip", "install", "-q", "meson", "ninja")

    def sh(self, script: str, work: Path, **variables: str) -> str:
        """Run shell commands in a directory of this machine, called /mnt inside; none may fail."""
        path = f"{self.programs}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        words = [f"{name}={value}" for name, value in {"PATH": path, **variables}.items()]
        return self.debian.run("env", *words, "bash", "-euo", "pipefail", "-c", script, work=work)


@contextmanager
def installed(debian: Debian) -> Iterator[Installed]:
    """Install the sources of this checkout, and remove them in the end."""
    folder = Path(tempfile.mkdtemp(prefix="kbtf-", dir=debian.root / "opt"))
    try:
        copy_sources(folder / "kbtf")
        inside = Path("/") / folder.relative_to(debian.root) / "kbtf"
        debian.run("sh", "-ec", f"cd {inside}\n{block('README.md', 'install')}")
        yield Installed(debian, inside / ".venv/bin")
    finally:
        shutil.rmtree(folder)
