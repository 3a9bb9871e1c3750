# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The examples build for each kernel of the lab, with its own compiler and pahole."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from kbtf import ElfImage
from real import BUILD_PRODUCTS

from .debian import WHICH

if TYPE_CHECKING:
    from pathlib import Path

    from .installed import Installed

pytestmark = pytest.mark.integration

EXAMPLES = ("kfunc_module", "tcp_congestion", "meson_make/kernel", "meson_wheel/kernel")


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_build(
    which: str, example: str, lab_kbtf: Installed, root: Path, tmp_path: Path
) -> None:
    headers = lab_kbtf.headers(which)
    shutil.copytree(root / "examples" / example, tmp_path / "source", ignore=BUILD_PRODUCTS)

    lab_kbtf.sh(f"kbtf build -q -C {headers} source", tmp_path)

    (module,) = (tmp_path / "source").glob("*.ko")
    assert has_resilient_btf(module)


@pytest.mark.parametrize("which", WHICH)
def test_the_meson_project_builds(
    which: str, lab_kbtf: Installed, root: Path, tmp_path: Path
) -> None:
    lab_kbtf.add_meson()
    shutil.copytree(root / "examples/meson_project", tmp_path / "source")

    setup = f"meson setup out source -Dkernel_dir={lab_kbtf.headers(which)}"
    lab_kbtf.sh(f"{setup}; meson compile -C out; meson test -C out", tmp_path)

    for module in ("office/ticket_office.ko", "queue/ticket_queue.ko"):
        assert has_resilient_btf(tmp_path / "out/kernel" / module)


def has_resilient_btf(module: Path) -> bool:
    """BTF with a base of its own."""
    image = ElfImage(module.read_bytes())
    return bool(image.data(".BTF")) and bool(image.data(".BTF.base"))
