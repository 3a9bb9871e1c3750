# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf build --sign``: signed once, kept as long as nothing changes, installed as signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conftest import missing
from kbtf import Module
from kbtf.program import main
from oracles.build import Missing, need
from signing import make_pair, modinfo, verifies

from . import kdirs

if TYPE_CHECKING:
    from pathlib import Path

    from signing import Pair

pytestmark = pytest.mark.integration


@pytest.fixture
def pair(run_dir: Path) -> Pair:
    try:
        need("openssl", "modinfo")
    except Missing as error:
        missing(error)
    return make_pair(run_dir, "kbtf tests")


@pytest.fixture
def provider(run_dir: Path) -> Path:
    return kdirs.three_modules(run_dir / "three") / "provider"


def build(*args: object) -> int:
    return main(["build", *map(str, args)])


def test_a_signed_module_stays_until_something_changes(
    headers: Path, provider: Path, pair: Pair
) -> None:
    module = provider / "provider.ko"
    assert build("-C", headers, "--sign", *pair, provider) == 0
    assert modinfo(module)["signer"] == "kbtf tests"
    assert verifies(module.read_bytes(), pair)
    assert Module.open(str(module)).has_btf_base
    before = kdirs.states(provider)

    assert build("-C", headers, "--sign", *pair, provider) == 0
    assert kdirs.states(provider) == before

    assert build("-C", headers, provider) == 0
    assert Module.open(str(module)).signature is None
    assert build("-C", headers, "--sign", *pair, provider) == 0
    assert verifies(module.read_bytes(), pair)


def test_the_pin_of_a_token_is_not_left_in_the_folder(
    headers: Path, provider: Path, pair: Pair
) -> None:
    assert build("-C", headers, "--sign", "pkcs11:pin-value=1234", pair.cert, provider) == 4

    texts = [path.read_bytes() for path in provider.rglob("*") if path.is_file()]
    assert not any(b"1234" in text and b"pkcs11" in text for text in texts)
    assert build("-C", headers, "--sign", *pair, provider) == 0


INSTALL = ("modules", "modules_install", "DEPMOD=true")


def test_modules_are_installed_as_they_were_signed(
    headers: Path, provider: Path, pair: Pair, run_dir: Path
) -> None:
    """Kbuild signs too, if it finds the kernel's own key, which headers do not have."""
    goals = (*INSTALL, f"INSTALL_MOD_PATH={run_dir}/dest")

    assert build("-C", headers, "--sign", *pair, provider, *goals) == 0

    (installed,) = (run_dir / "dest").rglob("provider.ko*")
    assert modinfo(installed)["signer"] == "kbtf tests"
    module = Module.open(str(installed))
    assert verifies(module.to_bytes(), pair)


def test_modules_that_are_stripped_when_installed_lose_the_signature(
    headers: Path, provider: Path, pair: Pair, run_dir: Path
) -> None:
    goals = (*INSTALL, f"INSTALL_MOD_PATH={run_dir}/dest", "INSTALL_MOD_STRIP=1")

    assert build("-C", headers, "--sign", *pair, provider, *goals) == 0

    (installed,) = (run_dir / "dest").rglob("provider.ko*")
    module = Module.open(str(installed))
    assert module.signature is None
    assert module.image.data(".debug_info") is None
    assert module.image.data(".BTF") == Module.open(str(provider / "provider.ko")).image.data(
        ".BTF"
    )
    assert module.has_btf_base
