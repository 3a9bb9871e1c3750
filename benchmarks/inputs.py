# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The inputs of benchmarks: the corpus, a kernel's BTF in several forms, a small module."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sysconfig
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import trees
from debug_modules import find_debug_modules
from paholes import find_paholes

import real

if TYPE_CHECKING:
    from debug_modules import DebugModules
    from paholes import Pahole

ROOT = Path(__file__).resolve().parent.parent
KBTF = Path(sysconfig.get_path("scripts"), "kbtf")


def package() -> Path:
    """The directory of the package that Python imports as kbtf."""
    spec = find_spec("kbtf")
    if spec is None or spec.origin is None:
        raise real.Missing("kbtf is not installed")
    return Path(spec.origin).parent


class Inputs:
    """Files, found or created when first needed; real.Missing if there is no such file."""

    def __init__(
        self, folder: Path, tree: Path | None = None, paholes: dict[str, str] | None = None
    ) -> None:
        self.corpus = real.corpus()
        self.given_tree = tree
        self.named_paholes = paholes or {}
        self._folders = 0
        self.folder = folder
        """For created files; removed at the end."""

    @cached_property
    def splits(self) -> list[Path]:
        """Split BTF of the corpus."""
        return sorted(self.corpus.glob("split/*.btf"))

    @cached_property
    def splits_base(self) -> Path:
        """The base of the corpus's split BTF."""
        return self.corpus_base("117")

    def corpus_base(self, name: str) -> Path:
        """One of the corpus's bases as raw BTF."""
        return self.corpus / "base" / f"6.12.{name}.btf"

    @cached_property
    def elf(self) -> Path:
        """A vmlinux that is an ELF file."""
        return real.newest_headers() / "vmlinux"

    @cached_property
    def raw(self) -> Path:
        """A kernel's BTF in a raw file: that of `elf`, else the one of `kbtf demo`."""
        try:
            elf = self.elf
        except real.Missing:
            path = self.folder / "vmlinux.btf"
            path.write_bytes(lzma.decompress((package() / "demo" / "vmlinux.btf.xz").read_bytes()))
            return path
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

    @cached_property
    def linked_module(self) -> Path:
        """The same with DWARF, as linked; its base is `raw`."""
        source, into = ROOT / "examples" / "kfunc_module", self.folder / "linked"
        tools = ("PAHOLE=true", "RESOLVE_BTFIDS=true")
        return real.build_module(source, into, real.newest_headers(), *tools)

    @cached_property
    def paholes(self) -> list[Pahole]:
        """The peers of the encoder."""
        return find_paholes(self.named_paholes)

    @cached_property
    def debug_modules(self) -> DebugModules:
        """Modules with DWARF of one kernel."""
        return find_debug_modules(self.given_tree, KBTF, self.folder)

    @property
    def module_release(self) -> str | None:
        """The kernel release that `module` was built for."""
        return _release(self.module)

    def copy_of_module(self) -> Path:
        """A fresh copy of the module, in the place where it may be changed."""
        return Path(shutil.copy(self.module, self.folder / "subject.ko"))

    @cached_property
    def tree(self) -> Path:
        """All modules of the kernel of `raw`, decompressed and unsigned."""
        source = self.given_tree or Path(f"/lib/modules/{self.module_release}/kernel")
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
        """That many modules of `tree`, of all sizes."""
        step = max(1, self.tree_count // count)
        chosen = self.tree_by_size[step // 2 :: step][:count]
        return trees.link_modules(chosen, self.tree, self.folder / f"first{count}")

    def sample(self, step: int) -> Path:
        """One in *step* modules of `tree`."""
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
        """The module with the most BTF, then each with at most half of that, and their bytes."""
        sizes = {split: split.stat().st_size for split in self.tree_splits}
        chosen: list[tuple[Path, int]] = []
        for split, size in sorted(sizes.items(), key=lambda item: -item[1]):
            if not chosen or size * 2 <= chosen[-1][1]:
                chosen.append((self.tree_by_size[int(split.stem)], size))
        return chosen

    def new_folder(self) -> Path:
        """A new, empty directory."""
        self._folders += 1
        path = self.folder / f"new{self._folders}"
        path.mkdir()
        return path

    def environment(self, cache: str) -> dict[str, str]:
        """The caller's environment without kbtf's variables, with a cache of that name."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KBTF_")}
        return {**kept, "KBTF_CACHE_DIR": str(self.folder / cache)}


def _release(module: Path) -> str | None:
    from kbtf import Module  # only after bench.py has checked which kbtf that is

    return Module.open(str(module)).release
