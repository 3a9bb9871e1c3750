# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What tests of plugins share: a module to run on, plugins in files and installed ones."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kbtf import BtfBuilder
from kbtf.testing import make_base, make_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Files(NamedTuple):
    """A module, and what a run on it is given."""

    module: Path
    base: Path


@pytest.fixture
def files(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """A module with plain split BTF and its base, which every run gets."""
    base = make_base()
    path = run_dir / "vmlinux.btf"
    path.write_bytes(base.to_bytes())
    monkeypatch.setenv("KBTF_BASE", str(path))
    split = BtfBuilder(base.build())
    split.add_func("fn", split.add_func_proto(1))
    module = run_dir / "tiny.ko"
    module.write_bytes(make_module(btf=split.to_bytes()))
    return Files(module, path)


@pytest.fixture
def plugin(run_dir: Path) -> Callable[..., str]:
    """Writes a plugin in a file: ``plugin("name", *lines)`` returns what ``-p`` takes."""

    def make(name: str, *lines: str) -> str:
        text = "\n".join(["from kbtf import KbtfError, UsageError, hookimpl", *lines, ""])
        (run_dir / f"{name}.py").write_text(text)
        return f"./{name}.py"

    return make


@pytest.fixture
def install(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a distribution with a plugin, as pip leaves it."""
    site = run_dir / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def make(
        distribution: str,
        version: str,
        plugin: str,
        *lines: str,
        target: str = "",
        requires: tuple[str, ...] = (),
    ) -> None:
        module = f"kbtf_example_{distribution}"
        monkeypatch.delitem(sys.modules, module, raising=False)
        info = site / f"{distribution}-{version}.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(f"[kbtf.plugins]\n{plugin} = {module}{target}\n")
        head = ["Metadata-Version: 2.4", f"Name: {distribution}", f"Version: {version}"]
        head += [f"Requires-Dist: {wanted}" for wanted in requires]
        (info / "METADATA").write_text("\n".join([*head, "", "Requires-Dist: kbtf>=99", ""]))
        (site / f"{module}.py").write_text("\n".join(["from kbtf import hookimpl", *lines, ""]))

    return make
