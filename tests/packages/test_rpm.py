# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""``%kbtf_modules``: real packages, built by rpmbuild."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import missing
from kbtf import Module
from kbtf.program import main
from oracles.build import Missing, need
from shown import block
from signing import make_pair, modinfo, verifies

from .tools import PACKAGING, with_kbtf

pytestmark = pytest.mark.integration

PAGE = "docs/packaging.md"

SECTIONS = (".BTF", ".BTF.base", ".BTF_ids")
HEAD = """\
Name: kmod-mymodule
Version: 1
Release: 1
Summary: A module
License: GPL-2.0-only
"""
DESCRIPTION = """
%description
A module.
"""
FILES = """
%files
/lib/modules
"""


@pytest.fixture(autouse=True)
def programs() -> None:
    try:
        need("rpmbuild", "rpm2cpio", "cpio", "eu-strip", "find-debuginfo", "modinfo", "openssl")
    except Missing as error:
        missing(error)


def build(folder: Path, kfunc_module: Path, *before: str, macros: str | None = None) -> Path:
    """Builds a package with the %install section of the documentation; the module in it."""
    release = Module.open(str(kfunc_module)).release
    spec, loaded = folder / "mymodule.spec", folder / "macros.kbtf"
    lines = [HEAD, f"%global kver {release}", *before, DESCRIPTION, block(PAGE, "spec"), FILES]
    spec.write_text("\n".join(lines))
    loaded.write_text(macros or (PACKAGING / "rpm/macros.kbtf").read_text())
    (folder / "BUILD").mkdir()
    shutil.copy(kfunc_module, folder / "BUILD/mymodule.ko")
    done = subprocess.run(
        ["rpmbuild", "-bb", "--define", f"_topdir {folder}", "--load", loaded, spec],
        env=with_kbtf(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (package,) = folder.glob("RPMS/*/kmod-mymodule-1-*.rpm")
    unpack = f"rpm2cpio {package} | cpio -id --quiet"
    subprocess.run(["sh", "-c", unpack], cwd=folder, check=True)
    (module,) = (folder / "lib/modules").rglob("*.ko*")
    return module


def test_btf_stays_when_the_package_is_stripped(
    tmp_path: Path, kfunc_module: Path, vmlinux: Path
) -> None:
    path = build(tmp_path, kfunc_module)

    module = Module.open(str(path))
    assert all(module.image.data(name) for name in SECTIONS)
    assert module.image.data(".debug_info") is None
    assert main(["check", "--kernel", str(vmlinux), str(path)]) == 0


@pytest.mark.parametrize(
    ("debuginfo", "compress"),
    [("", ""), ("%debug_package", ""), ("", block(PAGE, "spec that compresses"))],
    ids=["plain", "debuginfo", "compressed"],
)
def test_modules_are_signed_behind_all_that_strips_them(
    tmp_path: Path, kfunc_module: Path, vmlinux: Path, debuginfo: str, compress: str
) -> None:
    pair = make_pair(tmp_path, "kbtf tests")
    sign = block(PAGE, "spec that signs").replace("/etc/pki/mok.key", str(pair.key))
    sign = sign.replace("/etc/pki/mok.pem", str(pair.cert))

    path = build(tmp_path, kfunc_module, sign, debuginfo, compress)

    assert bool(list(tmp_path.glob("RPMS/*/*-debuginfo-*"))) is bool(debuginfo)
    module = Module.open(str(path))
    assert all(module.image.data(name) for name in SECTIONS)
    assert module.image.data(".debug_info") is None
    assert path.suffix == (".xz" if compress else ".ko")
    assert modinfo(path)["signer"] == "kbtf tests"
    assert verifies(module.to_bytes(), pair)
    assert main(["check", "--kernel", str(vmlinux), str(path)]) == 0


def test_debuginfo_would_take_btf_away(tmp_path: Path, kfunc_module: Path) -> None:
    """Why find-debuginfo is told to keep it."""
    macros = (PACKAGING / "rpm/macros.kbtf").read_text()
    careless = "\n".join(line for line in macros.split("\n") if "--keep-section" not in line)
    assert careless != macros

    path = build(tmp_path, kfunc_module, "%debug_package", macros=careless)

    image = Module.open(str(path)).image
    assert [name for name in SECTIONS if image.data(name)] == [".BTF_ids"]
