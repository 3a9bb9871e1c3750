# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""All modules of an installed kernel, as linked: neither compressed nor signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def unpack_modules(source: Path, into: Path) -> None:
    """The modules below *source*, decompressed and without signatures, below *into*."""
    from kbtf import KbtfError, Module

    for path in sorted(source.rglob("*.ko*")):
        try:
            module = Module.open(str(path))
        except KbtfError:
            continue  # modules.order and the like
        module.require_unsigned(strip=True)
        target = into / path.relative_to(source)
        target = target.with_name(target.name.partition(".ko")[0] + ".ko")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(module.to_bytes())


def link_modules(modules: list[Path], tree: Path, into: Path) -> Path:
    """Some modules of *tree* again, by hard links, below *into*."""
    for module in modules:
        target = into / module.relative_to(tree)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(module)
    return into


def write_splits(modules: list[Path], into: Path) -> list[Path]:
    """The split BTF of each module in a separate file, named by its index in the list."""
    from kbtf import Module

    into.mkdir()
    written = []
    for number, path in enumerate(modules):
        data = Module.open(str(path)).image.data(".BTF")
        if data:
            target = into / f"{number}.btf"
            target.write_bytes(data)
            written.append(target)
    return written


def write_distilled(splits: list[Path], base: Path, into: Path) -> list[tuple[Path, Path]]:
    """Base and split of each, distilled."""
    from kbtf import Btf, distill

    into.mkdir()
    kernel = Btf.parse(base.read_bytes())
    pairs = []
    for path in splits:
        distilled = distill(Btf.parse(path.read_bytes(), kernel))
        if not len(distilled.base):
            continue
        pair = into / f"{path.stem}.base", into / f"{path.stem}.split"
        pair[0].write_bytes(distilled.base.to_bytes())
        pair[1].write_bytes(distilled.split.to_bytes())
        pairs.append(pair)
    return pairs
