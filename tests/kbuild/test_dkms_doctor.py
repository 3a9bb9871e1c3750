# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``kbtf doctor`` where dkms has packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kbtf.kbuild.doctor import Means, examine
from kbtf.program import main
from kbtf.testing import make_module

from . import kdirs
from .dkms_root import DROP_IN

KBTF = Path(sys.executable).with_name("kbtf")


@pytest.fixture
def kdir(run_dir: Path) -> Path:
    return kdirs.small_kdir(run_dir / "kdir")


def said(kdir: Path) -> dict[str, tuple[str, str]]:
    """Severity and text of what is said of dkms."""
    found = examine(str(kdir), Means(), root="root")
    return {f.code: (f.severity.value, f.text) for f in found if f.code.startswith("dkms")}


def package(release: str = kdirs.RELEASE, module: bytes | None = None) -> None:
    """A package that dkms knows, and has built if there is a module."""
    version = Path("root/var/lib/dkms/odd/1.0")
    (version / "source").mkdir(parents=True)
    if module is not None:
        built = version / release / "x86_64/module"
        built.mkdir(parents=True)
        (built / "odd.ko").write_bytes(module)


def enable() -> None:
    assert main(["dkms", "enable", "--root", "root", "--program", str(KBTF)]) == 0


def test_nothing_is_said_where_dkms_has_no_package(kdir: Path) -> None:
    enable()

    assert said(kdir) == {}


def test_whether_the_drop_in_is_there_and_works(kdir: Path) -> None:
    package()
    assert said(kdir)["dkms"][0] == "note"

    enable()
    assert said(kdir) == {"dkms": ("ok", f"dkms builds modules with {KBTF}")}

    Path("root", DROP_IN[1]).unlink()
    severity, text = said(kdir)["dkms"]
    assert severity == "error"
    assert "kbtf/make is missing" in text


@pytest.mark.parametrize(("release", "named"), [(kdirs.RELEASE, True), ("6.1.0-other", False)])
def test_modules_of_this_kernel_that_have_no_btf_are_named(
    kdir: Path, release: str, named: bool
) -> None:
    package(release, make_module())
    enable()

    assert ("odd.ko" in said(kdir).get("dkms-btf", ("", ""))[1]) is named
