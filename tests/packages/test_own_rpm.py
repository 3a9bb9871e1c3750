# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""kbtf's own RPM packages; built on Debian, without looking for what Fedora calls its packages."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from conftest import missing
from kbtf.cli.command import COMMANDS
from kbtf.version import VERSION
from oracles.build import Missing, need
from sources import ROOT, copy_sources

from .tools import with_kbtf

if TYPE_CHECKING:
    from pathlib import Path

MACROS = {
    "__python3": sys.executable,
    "_rpmmacrodir": "/usr/lib/rpm/macros.d",  # as Fedora's macros have it
}


@pytest.mark.integration
def test_the_spec_builds(tmp_path: Path) -> None:
    try:
        need("rpmbuild", "rpm", "gcc", "git")
    except Missing as error:
        missing(error)
    copy_sources(tmp_path / "kbtf-0.1.0")
    (tmp_path / "SOURCES").mkdir()
    with tarfile.open(tmp_path / "SOURCES/kbtf-0.1.0.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "kbtf-0.1.0", "kbtf-0.1.0")
    macros = {"_topdir": str(tmp_path), **MACROS}
    words = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    spec = str(ROOT / "packaging/rpm/kbtf.spec")

    command = ["rpmbuild", *words, "-bb", "--nodeps", spec]
    done = subprocess.run(command, env=with_kbtf(), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-4000:]
    files = {path.name.split("-0.1")[0]: listed(path) for path in tmp_path.glob("RPMS/*/*.rpm")}
    assert set(files) == {"kbtf", "kbtf-dkms", "kbtf-rpm-macros"}
    for name in COMMANDS:
        assert any(path.startswith(f"/usr/share/man/man1/kbtf-{name}.1") for path in files["kbtf"])
    assert {"/usr/bin/kbtf", "/usr/share/zsh/site-functions/_kbtf"} <= files["kbtf"]
    assert "/etc/dkms/framework.conf.d/kbtf.conf" in files["kbtf-dkms"]
    assert "/usr/lib/rpm/macros.d/macros.kbtf" in files["kbtf-rpm-macros"]
    assert installed_version(tmp_path) == f"kbtf {VERSION}\n"


def installed_version(folder: Path) -> str:
    """What kbtf says of itself once the packages are installed below a directory."""
    packages = map(str, folder.glob("RPMS/*/*.rpm"))
    root = folder / "root"
    command = ["rpm", "--install", "--nodeps", f"--root={root}", *packages]
    subprocess.run(command, check=True)
    (modules,) = root.glob("usr/lib*/python3*/*-packages")
    command = [sys.executable, str(root / "usr/bin/kbtf"), "--version"]
    env = with_kbtf(PYTHONPATH=str(modules), PYTHONSAFEPATH="1")
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def listed(package: Path) -> set[str]:
    """The files of a package."""
    command = ["rpm", "-qlp", str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n"))
