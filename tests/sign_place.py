# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Keys, and a folder with a module that is signed with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from conftest import missing
from kbtf import BtfBuilder, Kind
from kbtf.program import main
from kbtf.testing import make_base, make_module
from oracles.build import Missing, need
from signing import make_pair

if TYPE_CHECKING:
    from pathlib import Path

    from signing import Pair


class Place(NamedTuple):
    """A folder with a module, and what signs it."""

    module: Path
    headers: Path

    def run(self, *args: object, module: Path | None = None) -> int:
        """``kbtf run`` for a kernel whose headers have sign-file."""
        options = ["--base", "vmlinux.btf", "-C", str(self.headers)]
        return main(["run", *options, *map(str, args), str(module or self.module)])


@pytest.fixture(scope="session")
def programs() -> None:
    try:
        need("openssl", "modinfo")
    except Missing as error:
        missing(error)


@pytest.fixture(scope="session")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("rsa"), "kbtf tests")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("other"), "somebody else")


@pytest.fixture
def place(run_dir: Path, headers: Path) -> Place:
    base = make_base(module_members=("btf_data", "btf_base_data"))
    (run_dir / "vmlinux.btf").write_bytes(base.to_bytes())
    split_btf = BtfBuilder(base.build())
    split_btf.add_ref(Kind.TYPEDEF, 1, "own_t")
    module = run_dir / "tiny.ko"
    module.write_bytes(make_module(btf=split_btf.to_bytes(), release="6.12.0-test"))
    return Place(module, headers)
