# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The wheel and the source distribution, as they are uploaded."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from kbtf.cli.command import COMMANDS
from shown import block, sh
from sources import copy_sources

from .tools import with_kbtf

pytestmark = pytest.mark.integration
GIT = ("git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.org")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both, built from a commit of what is here."""
    folder = copy_sources(tmp_path_factory.mktemp("kbtf"))
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*GIT, *words], cwd=folder, check=True)
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--skip-dependency-check",
        "-o",
        "dist",
    ]
    done = subprocess.run(command, cwd=folder, env=with_kbtf(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder / "dist"


def test_root_installs_it_where_only_root_can_write(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    programs = tmp_path / "programs"
    programs.mkdir()
    here = {
        "sudo ": "",
        "/opt/kbtf": tmp_path / "opt",
        "install .": f"install -q {wheel}",
        "/usr/local/bin/": f"{programs}/",
    }
    sh(block("docs/dkms.md", "install for root", here), tmp_path)

    assert sorted(os.listdir(programs)) == ["kbtf", "kbtf-pahole", "kbtf-resolve-btfids"]
    subprocess.run([programs / "kbtf", "demo"], check=True)


def test_twine_finds_nothing(dist: Path) -> None:
    files = list(map(str, dist.iterdir()))
    assert len(files) == 2
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_the_wheel_has_pages_completions_and_schemas(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = f"{'-'.join(wheel.name.split('-')[:2])}.data/data/share"
    assert {f"{data}/man/man1/kbtf-{command}.1" for command in COMMANDS} <= names
    assert f"{data}/bash-completion/completions/kbtf" in names
    assert "kbtf/schemas/check.json" in names
    assert not {name for name in names if name.startswith(("tests", "docs", "debian"))}
    assert not {
        name for name in names if name.startswith("kbtf/native/") and name[-2:] in (".c", ".h")
    }


def test_the_source_distribution_has_what_packagers_take(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"debian/control", "packaging/rpm/kbtf.spec", "tests/newcomer.sh", "LICENSE"} <= names
