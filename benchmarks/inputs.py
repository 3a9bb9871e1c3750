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

import trees

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

    def __init__(self, corpus: Path, folder: Path, tree: Path | None = None) -> None:
        self.corpus = corpus
        self.given_tree = tree
        self._folders = 0
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

    @cached_property
    def tree(self) -> Path:
        """All modules of the kernel of `raw`, decompressed and unsigned."""
        if self.given_tree:
            return self.given_tree
        source = Path(f"/lib/modules/{self.module_release}/kernel")
        if not any(source.rglob("*.ko*")):
            raise real.Missing(f"no modules in {source}: give a tree with --tree")
        into = self.folder / "tree"
        trees.unpack_modules(source, into)
        return into

    @cached_property
    def tree_base(self) -> Path:
        """The kernel of `tree`."""
        return self.raw

    @cached_property
    def tree_by_size(self) -> list[Path]:
        """The modules of `tree`, the largest first."""
        return sorted(self.tree.rglob("*.ko"), key=lambda path: -path.stat().st_size)

    @property
    def tree_count(self) -> int:
        return len(self.tree_by_size)

    @cached_property
    def tree_names(self) -> Path:
        """A list of the modules of `tree`, from there."""
        path = self.folder / "names"
        names = sorted(str(each.relative_to(self.tree)) for each in self.tree_by_size)
        path.write_text("".join(f"{name}\n" for name in names))
        return path

    def tree_module(self, name: str) -> Path:
        """One module of `tree`."""
        for path in self.tree_by_size:
            if path.stem == name:
                return path
        raise real.Missing(f"no {name}.ko in {self.tree}")

    def first(self, count: int) -> Path:
        """So many modules of `tree`, of all sizes."""
        step = max(1, self.tree_count // count)
        chosen = self.tree_by_size[step // 2 :: step][:count]
        return trees.link_modules(chosen, self.tree, self.folder / f"first{count}")

    def sample(self, step: int) -> Path:
        """Each so manyth module of `tree`."""
        return self.first(max(1, self.tree_count // step))

    @staticmethod
    def count(tree: Path) -> int:
        return sum(1 for _ in tree.rglob("*.ko*"))

    @cached_property
    def tree_splits(self) -> list[Path]:
        """The split BTF of the modules of `tree`."""
        return trees.write_splits(self.tree_by_size, self.folder / "splits")

    @cached_property
    def tree_distilled(self) -> list[tuple[Path, Path]]:
        """The same distilled."""
        return trees.write_distilled(self.tree_splits, self.tree_base, self.folder / "distilled")

    @cached_property
    def tree_halving(self) -> list[tuple[Path, int]]:
        """The module with the most BTF, then ever one with at most half, and their bytes."""
        sizes = {split: split.stat().st_size for split in self.tree_splits}
        chosen: list[tuple[Path, int]] = []
        for split, size in sorted(sizes.items(), key=lambda item: -item[1]):
            if not chosen or size * 2 <= chosen[-1][1]:
                chosen.append((self.tree_by_size[int(split.stem)], size))
        return chosen

    def new_folder(self) -> Path:
        """An empty folder that nothing was in before."""
        self._folders += 1
        path = self.folder / f"new{self._folders}"
        path.mkdir()
        return path

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
