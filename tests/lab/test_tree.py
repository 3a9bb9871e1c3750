# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""All modules of the newest kernel, distilled and relocated beside the libbpf of its source.

It is not part of CI: `pytest -m tree`.
"""

from __future__ import annotations

import lzma
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbtf import Btf, KbtfError, Module, distill, open_btf, relocate
from oracles import build as oracles

from .kernels import modules, source
from .test_resolve_btfids import body

if TYPE_CHECKING:
    from .debian import Debian

pytestmark = pytest.mark.tree

LEAST = 1000
"""Modules with BTF that any kernel of Debian has."""
AT_ONCE = 100
"""The modules for which the peer parses the base once."""
RESULTS = (".base", ".split", ".back")


@pytest.fixture(scope="module")
def libbpf_of_kernel(lab: Debian) -> Path:
    """The program `btf_oracle` with the libbpf of the newest kernel's source."""
    return oracles.oracle_with(oracles.libbpf_of(source(lab, lab.release("7.x"))))


def test_all_modules_of_the_newest_kernel(lab: Debian, libbpf_of_kernel: Path) -> None:
    release = lab.release("7.x")
    vmlinux = lab.vmlinux(release)
    base = open_btf(str(vmlinux), cache=False)
    paths = modules(lab, release)
    chunks = [paths[at : at + AT_ONCE] for at in range(0, len(paths), AT_ONCE)]

    def compared(chunk: list[Path]) -> tuple[int, list[str]]:
        with tempfile.TemporaryDirectory() as name:
            splits = {path.name: own for path in chunk if (own := split_of(path)) is not None}
            for module, own in splits.items():
                Path(name, module).write_bytes(own)
            subprocess.run([libbpf_of_kernel, "both", vmlinux, *splits], cwd=name, check=True)
            found = (differs(Path(name, module), own, base) for module, own in splits.items())
            return len(splits), [why for why in found if why is not None]

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(compared, chunks))

    assert [why for _, found in results for why in found] == []
    assert sum(count for count, _ in results) > LEAST


def split_of(path: Path) -> bytes | None:
    """The BTF of a module; None if it has none."""
    data = path.read_bytes()
    module = Module(lzma.decompress(data) if path.suffix == ".xz" else data, str(path))
    return module.image.data(".BTF")


def differs(theirs: Path, own: bytes, base: Btf) -> str | None:
    """What kbtf makes otherwise than the peer; None if nothing.  Neither may fail alone."""
    ours: list[bytes] = []
    error = ""
    try:
        made = distill(Btf.parse(own, base))
        ours += [made.base.to_bytes(), made.split.to_bytes()]
        ours.append(relocate(made.split, base).to_bytes())
    except KbtfError as failed:
        error = f" ({failed})"
    there = [path for suffix in RESULTS if (path := Path(f"{theirs}{suffix}")).exists()]
    if len(there) != len(ours):
        return f"{theirs.name}: {len(ours)} results{error}, theirs {len(there)}"
    mine = theirs.with_name("mine")
    for path, data in zip(there, ours, strict=True):
        mine.write_bytes(data)
        if body(mine) != body(path):
            return f"{path.name} differs"
    return None
