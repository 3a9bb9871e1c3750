# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""kbtf's own Debian packages, built and tested in a fresh Debian 12, and in the stable one."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from conftest import need_fresh_debian
from kbtf.cli.command import COMMANDS
from kbtf.version import VERSION
from sources import ROOT, copy_sources

if TYPE_CHECKING:
    from pathlib import Path

HERE = ROOT / "tests" / "chroot.sh"
SECURITY = "deb http://deb.debian.org/debian-security bookworm-security main\n"


SUITES = pytest.mark.parametrize("debian", ["bookworm", "stable"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def debian(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh Debian with the sources in /root/kbtf and the packages built from them beside it."""
    need_fresh_debian()
    suite = getattr(request, "param", "stable")
    debian = tmp_path_factory.mktemp("debian")
    subprocess.run(["bash", HERE, "make", debian, suite], check=True, capture_output=True)
    if suite == "bookworm":  # 6.12 comes with its security updates
        (debian / "etc/apt/sources.list.d/security.list").write_text(SECURITY)
        run(debian, "apt-get update -qq")
    copy_sources(debian / "root/kbtf")
    run(debian, "apt-get install -qq --no-install-recommends build-essential man-db")
    run(debian, "cd kbtf && apt-get build-dep -qq --no-install-recommends .")
    run(debian, "cd kbtf && dpkg-buildpackage -us -uc")
    return debian


def run(debian: Path, command: str) -> str:
    words = ["bash", str(HERE), "run", str(debian), "bash", "-c", f"cd /root && {command}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


@SUITES
@pytest.mark.integration
def test_the_packages_hold_what_they_should(debian: Path) -> None:
    files = {
        name: run(debian, f"dpkg-deb -c {name}_0.1.0_*.deb")
        for name in ("kbtf", "kbtf-dkms", "dh-kbtf")
    }

    for command in COMMANDS:
        assert f"./usr/share/man/man1/kbtf-{command}.1.gz\n" in files["kbtf"]
    for path in (
        "bin/kbtf",
        "share/bash-completion/completions/kbtf",
        "share/zsh/vendor-completions/_kbtf",
        "share/fish/vendor_completions.d/kbtf.fish",
    ):
        assert f"./usr/{path}\n" in files["kbtf"]
    assert "./etc/dkms/framework.conf.d/kbtf.conf\n" in files["kbtf-dkms"]
    assert "./usr/bin/dh_kbtf\n" in files["dh-kbtf"]
    assert "/Debian/Debhelper/Sequence/kbtf.pm\n" in files["dh-kbtf"]


@pytest.mark.integration
def test_lintian_finds_no_errors(debian: Path) -> None:
    run(debian, "apt-get install -qq --no-install-recommends lintian")
    run(debian, "lintian --allow-root --fail-on error kbtf_*.changes")


@SUITES
@pytest.mark.integration
def test_the_packages_install_and_build_a_module(debian: Path) -> None:
    """As autopkgtest does: with what the test asks for, in a copy of the sources."""
    (depends,) = re.findall(r"^Depends: (.*)$", (ROOT / "debian/tests/control").read_text(), re.M)
    run(debian, "apt-get install -qq --no-install-recommends ./kbtf_*.deb")
    run(debian, f"apt-get satisfy -qq --no-install-recommends '{depends}'")

    said = run(debian, "mkdir t && cd kbtf && AUTOPKGTEST_TMP=/root/t debian/tests/build-module")

    assert "distilled" in said


def test_the_version_is_that_of_the_project() -> None:
    assert (ROOT / "debian/changelog").read_text().startswith(f"kbtf ({VERSION}) ")
    assert f"Version:        {VERSION}\n" in (ROOT / "packaging/rpm/kbtf.spec").read_text()
