# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What is measured on: the corpus, a kernel's BTF in its several forms, a small module."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sysconfig
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import real

ROOT = Path(__file__).resolve().parent.parent
KBTF = Path(sysconfig.get_path("scripts"), "kbtf")


def package() -> Path:
    """The folder of the package that Python imports as kbtf."""
    spec = find_spec("kbtf")
    if spec is None or spec.origin is None:
        raise real.Missing("kbtf is not installed")
    return Path(spec.origin).parent


class Inputs:
    """Files, found or made when first asked for; real.Missing where there is no such thing."""

    def __init__(self, corpus: Path, folder: Path) -> None:
        self.corpus = corpus
        self.folder = folder
        """For what is made; nothing of it stays."""

    @cached_property
    def splits(self) -> list[Path]:
        """Split BTF of the corpus."""
        found = sorted(self.corpus.glob("split/*.btf"))
        if not found:
            raise real.Missing(f"no corpus in {self.corpus}: give it with --corpus")
        return found

    @cached_property
    def splits_base(self) -> Path:
        """The base of the corpus's split BTF."""
        return self._unpacked(self.corpus / "base" / "6.12.117.btf.xz", "corpus.btf")

    def corpus_base(self, name: str) -> Path:
        """One of the corpus's bases as raw BTF."""
        return self._unpacked(self.corpus / "base" / f"6.12.{name}.btf.xz", f"{name}.btf")

    @cached_property
    def elf(self) -> Path:
        """A vmlinux that is an ELF file."""
        return real.newest_headers() / "vmlinux"

    @cached_property
    def raw(self) -> Path:
        """A kernel's BTF in a file of its own: of `elf`, else what `kbtf demo` uses."""
        try:
            elf = self.elf
        except real.Missing:
            return self._unpacked(package() / "demo" / "vmlinux.btf.xz", "vmlinux.btf")
        path = self.folder / "vmlinux.btf"
        subprocess.run([KBTF, "base", elf, "-o", path], check=True, stdout=subprocess.DEVNULL)
        return path

    @cached_property
    def image(self) -> Path:
        """The compressed kernel of the same release."""
        path = Path(f"/boot/vmlinuz-{self.module_release}")
        if not path.exists():
            raise real.Missing(f"no {path}")
        return path

    @cached_property
    def module(self) -> Path:
        """A small module with plain split BTF and .BTF_ids, built for the kernel of `raw`."""
        demo = package() / "demo" / "kfunc_module.ko"
        try:
            headers = real.newest_headers()
        except real.Missing:
            return demo
        if _release(demo) == headers.name.removeprefix("linux-headers-"):
            return demo
        source = ROOT / "examples" / "kfunc_module"
        return real.build_module(source, self.folder / "module", headers, "RESOLVE_BTFIDS=true")

    @property
    def module_release(self) -> str | None:
        """The kernel release that `module` was built for."""
        return _release(self.module)

    def copy_of_module(self) -> Path:
        """The module anew, in its place for being changed."""
        return Path(shutil.copy(self.module, self.folder / "subject.ko"))

    def environment(self, cache: str) -> dict[str, str]:
        """That of the caller, without what changes kbtf, and with a cache of that name."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KBTF_")}
        return {**kept, "KBTF_CACHE_DIR": str(self.folder / cache)}

    def _unpacked(self, source: Path, name: str) -> Path:
        if not source.exists():
            raise real.Missing(f"no {source}")
        path = self.folder / name
        path.write_bytes(lzma.decompress(source.read_bytes()))
        return path


def _release(module: Path) -> str | None:
    from kbtf import Module  # not before bench.py has seen which kbtf that is

    return Module.open(str(module)).release
